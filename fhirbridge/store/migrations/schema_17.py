"""Schema 17: what is purged after its time, and legal holds."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Text

revision = "17"
down_revision = "16"

WORDS = ("patient_key", "session_key", "at", "actor", "lifted_at")


def upgrade() -> None:
    """Add a column, a table, and indexes for what is sealed with a record. Nothing is purged."""
    op.add_column("record", sa.Column("purged_at", Text, nullable=False, server_default=""))
    op.create_table(
        "legal_hold",
        sa.Column("id", Text, primary_key=True),
        *(sa.Column(name, Text, nullable=False) for name in WORDS),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("legal_hold_patient", "legal_hold", ["patient_key"])
    op.create_index("legal_hold_session", "legal_hold", ["session_key"])
    op.create_index("facade_word_version", "facade_word", ["destination", "sequence"])
    op.create_index("drift_record", "drift", ["record_id"])
    op.create_index("patient_link_record", "patient_link", ["record_id"])
    op.create_index("theirs_link_record", "theirs_link", ["record_id"])
    op.create_index("ledger_resource", "ledger", ["resource"])
