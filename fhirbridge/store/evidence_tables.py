"""The tables of what proves the evidence log. Part of `tables.py`'s schema."""

from sqlalchemy import Column, Index, LargeBinary, Table

from fhirbridge.store import append_only
from fhirbridge.store.columns import Integer, Text, metadata

# audit: rows without a number yet. A row is written without one, so that writers never wait for
# each other; what a slow one writes late is found here, whatever its time says.
evidence_waiting = Table("evidence_waiting", metadata, Column("id", Text, primary_key=True))

# audit: the place of each row in the tree, from 0 on, without a gap
evidence_place = Table(
    "evidence_place",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
)
append_only.guard(evidence_place)

# audit: the hash over 2**level rows from number * 2**level on, once all of them are there
evidence_node = Table(
    "evidence_node",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

# audit: what was signed
checkpoint = Table(
    "checkpoint",
    metadata,
    Column("id", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("at", Text, nullable=False),
    Column("note", Text, nullable=False),  # as it was signed: docs/evidence.md
)
Index("checkpoint_size", checkpoint.c.size)
append_only.guard(checkpoint)

# audit: whose signatures count, and from when on one does not
signing_key = Table(
    "signing_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("verifier", Text, nullable=False),  # the public key, as others are given it
    Column("since", Text, nullable=False),
    Column("until", Text, nullable=False),  # "" while it signs
    Column("compromised_at", Text, nullable=False),  # "" where nobody else is known to have it
)
