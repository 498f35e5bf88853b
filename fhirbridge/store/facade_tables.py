"""Tables of what readers may pull from us. Bodies sealed, searchable words as keyed hashes."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# facade: how far each has come; whoever adds to one holds its row until his commit, so that a
# sequence is seen only after all that are lower
facade_clock = Table(
    "facade_clock",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("sequence", Integer, nullable=False),  # the last one given out
    Column("at", Text, nullable=False),  # when; never earlier than the one before
)

# One version of one resource, as a reader sees it. Its sequence is its FHIR version id.
facade_version = Table(
    "facade_version",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("lane", Text, nullable=False),  # whose chart it stands in
    Column("resource", Text, ForeignKey("resource.id"), nullable=False),  # what it was made of
    Column("owner", Text, nullable=False),  # of the key that seals it
    Column("part_2", Boolean, nullable=False),
    Column("first", Boolean, nullable=False),  # there was none before it
    Column("until", Integer, nullable=False),  # from which sequence on a newer one counts; 0: none
    Column("at", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # body, as it was taken
)
Index(
    "facade_version_of",
    *(facade_version.c[name] for name in ("destination", "type", "resource_id", "sequence")),
)
Index(
    "facade_version_type",
    *(facade_version.c[name] for name in ("destination", "type", "sequence")),
)
Index(
    "facade_version_lane",
    *(facade_version.c[name] for name in ("destination", "lane", "sequence")),
)

# By what one version is found without opening any: no value in the clear.
facade_word = Table(
    "facade_word",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("parameter", Text, primary_key=True),
    Column("word", Text, primary_key=True),  # keyed hash
    Column("sequence", Integer, primary_key=True, autoincrement=False),
)
Index("facade_word_version", facade_word.c.destination, facade_word.c.sequence)
