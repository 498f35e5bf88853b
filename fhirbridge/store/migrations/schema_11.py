"""Schema 11: what readers may pull from us, and the facade that a token reads."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store.columns import Integer, Text

revision = "11"
down_revision = "10"

INDEXES = {
    "of": ["destination", "type", "resource_id", "sequence"],
    "type": ["destination", "type", "sequence"],
    "lane": ["destination", "lane", "sequence"],
}


def upgrade() -> None:
    """Add a column and tables. No token that is there already reads a facade."""
    op.add_column("api_token", sa.Column("facade", Text, nullable=False, server_default=""))
    op.create_table(
        "facade_clock",
        sa.Column("destination", Text, primary_key=True),
        sa.Column("sequence", Integer, nullable=False),
        sa.Column("at", Text, nullable=False),
    )
    op.create_table(
        "facade_version",
        sa.Column("destination", Text, primary_key=True),
        sa.Column("sequence", Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, Text, nullable=False) for name in ("type", "resource_id", "lane")),
        sa.Column("resource", Text, sa.ForeignKey("resource.id"), nullable=False),
        sa.Column("owner", Text, nullable=False),
        sa.Column("part_2", sa.Boolean, nullable=False),
        sa.Column("first", sa.Boolean, nullable=False),
        sa.Column("until", Integer, nullable=False),
        sa.Column("at", Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    for name, columns in INDEXES.items():
        op.create_index(f"facade_version_{name}", "facade_version", columns)
    op.create_table(
        "facade_word",
        *(
            sa.Column(name, Text, primary_key=True)
            for name in ("destination", "type", "parameter", "word")
        ),
        sa.Column("sequence", Integer, primary_key=True, autoincrement=False),
    )
