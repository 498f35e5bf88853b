"""Schema 16: what one record says of one resource is found without what all others say of it."""

from alembic import op

revision = "16"
down_revision = "15"


def upgrade() -> None:
    """Widen an index."""
    op.drop_index("resource_record", "resource")
    op.create_index("resource_record", "resource", ["record_id", "type", "resource_id", "overlay"])
