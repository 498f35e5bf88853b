"""Schema 9: signed messages, who may send them, and what they said of patients."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "9"
down_revision = "8"


def upgrade() -> None:
    """Add tables."""
    op.create_table(
        "webhook_source",
        sa.Column("id", Text, primary_key=True),
        sa.Column("name", Text, nullable=False, unique=True),
        *_texts("added_at", "revoked_at"),
        sa.Column("skew_seconds", Integer, nullable=False),
        *_texts("skew_seen_at"),
    )
    op.create_table(
        "webhook_secret",
        sa.Column("id", Text, primary_key=True),
        sa.Column("source", Text, sa.ForeignKey("webhook_source.id"), nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        *_texts("made_at", "expires_at"),
    )
    op.create_index("webhook_secret_source", "webhook_secret", ["source"])
    op.create_table(
        "message",
        sa.Column("key", Text, primary_key=True),
        *_texts("body", "at"),
        sa.Column("answer", sa.LargeBinary),
    )
    op.create_table(
        "patient_merge",
        sa.Column("id", Text, primary_key=True),
        *_texts("survivor", "merged", "at", "actor"),
    )
    op.create_table(
        "consent_withdrawal",
        sa.Column("id", Text, primary_key=True),
        *_texts("patient_key", "kind", "recipient", "withdrawn_at"),
        sa.Column("record_id", Text, sa.ForeignKey("record.id"), nullable=False),
    )
    op.create_index("consent_withdrawal_patient", "consent_withdrawal", ["patient_key"])


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, Text, nullable=False) for name in names]
