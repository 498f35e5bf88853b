"""Schema 14: what a token is narrowed to, when it was last used, and deliveries in their order."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Text

revision = "14"
down_revision = "13"


def upgrade() -> None:
    """Add two columns and two indexes. A token of before may all that its role may."""
    for name in ("rooms", "last_used_at"):
        op.add_column("api_token", sa.Column(name, Text, nullable=False, server_default=""))
    op.create_index("delivery_created", "delivery", ["created_at", "id"])
    op.create_index("delivery_created_there", "delivery", ["destination", "created_at", "id"])
