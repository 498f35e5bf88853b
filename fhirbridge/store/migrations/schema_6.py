"""Schema 6: EHRs that take little: the mode that a person named, and how types go."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Text

revision = "6"
down_revision = "5"

NOT_AS_ITSELF = "outcome IN ('skipped', 'carried', 'cannot-update', 'cannot-retract')"
# Of what is there already: nobody named a mode, and everything is sent.
ADDED = (("declared", ""), ("types", "{}"))


def upgrade() -> None:
    """Add columns and an index."""
    for column, before in ADDED:
        op.add_column("destination", sa.Column(column, Text, nullable=False, server_default=before))
    op.create_index(
        "delivery_item_not_as_itself",
        "delivery_item",
        ["outcome"],
        sqlite_where=sa.text(NOT_AS_ITSELF),
        postgresql_where=sa.text(NOT_AS_ITSELF),
    )
