"""Schema 5: destinations that were removed; no reason that a person typed stands in the clear."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Text

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add a column; forget the words, of which the evidence keeps a copy."""
    added = sa.Column("removed_at", Text, nullable=False, server_default="")
    op.add_column("destination", added)
    op.execute("UPDATE destination SET weak = 'allowed' WHERE weak <> ''")
