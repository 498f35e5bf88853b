"""The tables of what an EHR has itself and ours points to. Part of `tables.py`'s schema."""

from sqlalchemy import Column, Index, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# matching: each row is one decision, and is followed by the next; the one that has not ended counts
theirs_link = Table(
    "theirs_link",
    metadata,
    Column("sequence", Integer, primary_key=True),  # given out by the database, in order
    Column("id", Text, nullable=False, unique=True),
    Column("destination", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Text, nullable=False),  # our id, or the keyed name of a number of the EHR's
    Column("lane", Text, nullable=False),
    Column("state", Text, nullable=False),  # linked | left-out
    Column("ehr_id", Text, nullable=False),  # "" where it is left out
    Column("words", Text, nullable=False),  # in its place: a clinician's or a place's name, or ""
    Column("how", Text, nullable=False),  # crosswalk | identifier | person
    Column("why", Text, nullable=False),  # codes, space separated: why it is left out
    Column("compared", Text, nullable=False),  # keyed digest of all that was asked
    Column("record_id", Text, nullable=False),  # whose key seals the reason
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("checked_at", Text, nullable=False),  # when the EHR, or a table, was last asked
    Column("ended_at", Text, nullable=False),  # "" while it counts
    Column("followed_at", Text, nullable=False),  # "" while what was written before is to follow
    Column("sealed", LargeBinary, nullable=False),  # a person's reason
)
Index(
    "theirs_link_now",
    theirs_link.c.destination,
    theirs_link.c.type,
    theirs_link.c.subject,
    unique=True,
    sqlite_where=theirs_link.c.ended_at == "",
    postgresql_where=theirs_link.c.ended_at == "",
)
Index("theirs_link_record", theirs_link.c.record_id)
Index("theirs_link_to_follow", theirs_link.c.destination, theirs_link.c.followed_at)

# What the clinic calls something, and which one that is in the EHR: loaded from a file.
crosswalk = Table(
    "crosswalk",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("ours", Text, primary_key=True),  # keyed name of the clinic's value
    Column("type", Text, primary_key=True),  # of what it is there
    Column("ehr_id", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the clinic's value
)
