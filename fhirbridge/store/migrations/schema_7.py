"""Schema 7: what is pulled from EHRs, and events."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store import append_only
from fhirbridge.store.columns import Integer, Text

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Add a column and two tables. Nothing is pulled from the EHRs that are there already."""
    op.add_column("destination", sa.Column("pull", Text, nullable=False, server_default=""))
    op.create_table(
        "ehr_view",
        *(sa.Column(name, Text, primary_key=True) for name in ("destination", "lane", "type")),
        sa.Column("id", Text, nullable=False, unique=True),
        sa.Column("ehr_id", Text, nullable=False),
        sa.Column("version", Integer, nullable=False),
        sa.Column("theirs", Integer, nullable=False),
        sa.Column("ours", Integer, nullable=False),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("left_out", "as_of", "asked_at", "ended", "said", "expires_at")
        ),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ehr_view_expires", "ehr_view", ["expires_at"])
    op.create_table(
        "event",
        sa.Column("sequence", Integer, primary_key=True, autoincrement=False),
        sa.Column("id", Text, nullable=False, unique=True),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("at", "kind", "subkind", "destination", "patient", "detail")
        ),
    )
    for statement in append_only.statements("event", op.get_bind().dialect.name):
        op.execute(statement)
