"""Schema 8: removed destinations, no typed reason in the clear, what keeps its cost as it grows."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Text

revision = "8"
down_revision = "7"

# Name, table and columns of what is found by an index from now on.
INDEXES = (
    ("record_received", "record", ["received_at"]),
    ("record_translation", "record", ["translation", "set_digest"]),
    ("resource_newest", "resource", ["type", "resource_id", "overlay", "as_of", "recorded_at"]),
    ("delivery_lane", "delivery", ["destination", "lane", "state"]),
    ("delivery_item_resource", "delivery_item", ["resource"]),
)


def upgrade() -> None:
    """Add columns and indexes; forget the words, of which the evidence keeps a copy."""
    for table, column in (("destination", "removed_at"), ("resource", "recorded_at")):
        op.add_column(table, sa.Column(column, Text, nullable=False, server_default=""))
    op.execute("UPDATE destination SET weak = 'allowed' WHERE weak <> ''")
    op.execute(
        "UPDATE resource SET recorded_at = "
        "(SELECT record.recorded_at FROM record WHERE record.id = resource.record_id)"
    )
    op.drop_index("resource_identity", "resource")
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    held = sa.text("screen_held IS true")
    op.create_index("record_screen", "record", ["state"], sqlite_where=held, postgresql_where=held)
