"""The tables of what differs in an EHR. Part of `tables.py`'s schema."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table

from fhirbridge.store.columns import Text, metadata

# reconcile
drift = Table(
    "drift",
    metadata,
    Column("id", Text, primary_key=True),
    Column("destination", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("resource_id", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("record_id", Text, ForeignKey("record.id"), nullable=False),  # whose key seals it
    Column("kind", Text, nullable=False),  # missing | older | edited | deleted | merged | ...
    Column("elements", Text, nullable=False),  # names of what differs, space separated
    Column("ehr_version", Text, nullable=False),  # which of the EHR's versions was seen
    Column("theirs", Text, nullable=False),  # keyed digest of what was seen
    Column("state", Text, nullable=False),  # open | settled | closed
    Column("choice", Text, nullable=False),  # "" | ours | theirs
    Column("actor", Text, nullable=False),
    Column("found_at", Text, nullable=False),
    Column("changed_at", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # base, ours, theirs, the reason
)
Index("drift_identity", drift.c.destination, drift.c.type, drift.c.resource_id)
Index("drift_record", drift.c.record_id)
Index("drift_open", drift.c.destination, drift.c.state)

drift_policy = Table(
    "drift_policy",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("type", Text, primary_key=True),  # a resource type, or * for all others
    Column("choice", Text, nullable=False),  # hold | ours | theirs
)

watch = Table(
    "watch",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("polled_to", Text, nullable=False),  # the EHR's own clock; "" before the first time
    Column("swept_at", Text, nullable=False),  # when all of it was last compared; ours
    Column("stop", Text, nullable=False),  # why nothing may be sent before it is compared, or ""
)
