"""Schema 15: Bulk Data exports that readers began."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "15"
down_revision = "14"

WORDS = ("destination", "token", "request", "level", "since", "at", "files", "created_at")


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "bulk_export",
        sa.Column("id", Text, primary_key=True),
        sa.Column("upto", Integer, nullable=False),
        *(sa.Column(name, Text, nullable=False) for name in (*WORDS, "expires_at")),
    )
    op.create_index("bulk_export_expires", "bulk_export", ["expires_at"])
