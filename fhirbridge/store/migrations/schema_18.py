"""Schema 18: an export over HTTP may be narrowed, and what it is narrowed by is sealed."""

import sqlalchemy as sa
from alembic import op

revision = "18"
down_revision = "17"


def upgrade() -> None:
    """Add a column."""
    op.add_column("bulk_export", sa.Column("sealed", sa.LargeBinary()))
