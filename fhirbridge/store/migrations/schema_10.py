"""Schema 10: what an EHR has itself besides patients, and tables from the clinic's words to it."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "10"
down_revision = "9"

LINK = (
    "destination", "type", "subject", "lane", "state", "ehr_id", "words", "how", "why", "compared",
    "record_id", "actor", "at", "checked_at", "ended_at", "followed_at",
)  # fmt: skip


def upgrade() -> None:
    """Add columns and tables. Of what is there already, everything is ours."""
    op.add_column("destination", sa.Column("theirs", Text, nullable=False, server_default="{}"))
    for table in ("ledger", "delivery_item"):
        op.add_column(table, sa.Column("decided", Integer, nullable=False, server_default="0"))
    op.create_table(
        "theirs_link",
        sa.Column("sequence", Integer, primary_key=True),
        sa.Column("id", Text, nullable=False, unique=True),
        *(sa.Column(name, Text, nullable=False) for name in LINK),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "theirs_link_now",
        "theirs_link",
        ["destination", "type", "subject"],
        unique=True,
        sqlite_where=sa.text("ended_at = ''"),
        postgresql_where=sa.text("ended_at = ''"),
    )
    op.create_index("theirs_link_to_follow", "theirs_link", ["destination", "followed_at"])
    op.create_table(
        "crosswalk",
        *(
            sa.Column(name, Text, primary_key=True)
            for name in ("destination", "kind", "ours", "type")
        ),
        *(sa.Column(name, Text, nullable=False) for name in ("ehr_id", "at")),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
