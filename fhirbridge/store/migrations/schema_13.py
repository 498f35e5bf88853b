"""Schema 13: our Subscriptions at EHRs."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "13"
down_revision = "12"

TEXTS = (
    "secret_hash", "ids", "state", "said", "renewed_at", "ends_at", "checked_at",
    "notified_at", "heartbeat_at", "numbers", "gap_at", "due_at", "looked_at",
)  # fmt: skip


def upgrade() -> None:
    """Add the table. Nobody calls us yet."""
    op.create_table(
        "subscription",
        sa.Column("destination", Text, primary_key=True),
        sa.Column("id", Text, nullable=False, unique=True),
        *(sa.Column(name, Text, nullable=False) for name in ("address", "types")),
        sa.Column("token_hash", Text, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        *(sa.Column(name, Text, nullable=False) for name in TEXTS),
        *(sa.Column(name, Integer, nullable=False) for name in ("gaps", "wait_seconds")),
    )
