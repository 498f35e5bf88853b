"""Schema 5: each evidence row gets a place in a Merkle tree, and signed checkpoints say which."""

import sqlalchemy as sa
from alembic import op

from fhirbridge.store import append_only
from fhirbridge.store.columns import Integer, Text

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Add tables; every row that is there already waits for its number."""
    op.create_table("evidence_waiting", sa.Column("id", Text, primary_key=True))
    op.create_table(
        "evidence_place",
        sa.Column("number", Integer, primary_key=True, autoincrement=False),
        sa.Column("id", Text, nullable=False, unique=True),
    )
    op.create_table(
        "evidence_node",
        sa.Column("level", Integer, primary_key=True, autoincrement=False),
        sa.Column("number", Integer, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "checkpoint",
        sa.Column("id", Text, primary_key=True),
        sa.Column("size", Integer, nullable=False),
        sa.Column("at", Text, nullable=False),
        sa.Column("note", Text, nullable=False),
    )
    op.create_index("checkpoint_size", "checkpoint", ["size"])
    op.create_table(
        "signing_key",
        sa.Column("id", Text, primary_key=True),
        *(
            sa.Column(name, Text, nullable=False)
            for name in ("verifier", "since", "until", "compromised_at")
        ),
    )
    for table in ("evidence_place", "checkpoint"):
        for statement in append_only.statements(table, op.get_bind().dialect.name):
            op.execute(statement)
    op.execute("INSERT INTO evidence_waiting (id) SELECT id FROM evidence")
