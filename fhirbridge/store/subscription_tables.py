"""Table of our Subscriptions at EHRs. Only `subscriptions` writes it; what is secret is sealed."""

from sqlalchemy import Column, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# subscriptions: one row for each destination that is to call us. All times are ours, "" for never.
subscription = Table(
    "subscription",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),  # new at each change; owns the key that seals
    Column("address", Text, nullable=False),  # of ours, as the EHR reaches it
    Column("types", Text, nullable=False),  # space separated; "": all that it has of ours
    Column("token_hash", Text, nullable=False, unique=True),  # of the path
    Column("secret_hash", Text, nullable=False),  # of the header
    Column("sealed", LargeBinary, nullable=False),  # both
    Column("ids", Text, nullable=False),  # JSON: type to the id of its Subscription there
    Column("state", Text, nullable=False),  # requested | active | error
    Column("said", Text, nullable=False),  # why it is not active; our words
    Column("renewed_at", Text, nullable=False),  # when anything of it was last written there
    Column("ends_at", Text, nullable=False),
    Column("checked_at", Text, nullable=False),
    # What notifications said; never what was in them.
    Column("notified_at", Text, nullable=False),
    Column("heartbeat_at", Text, nullable=False),  # or handshake
    Column("numbers", Text, nullable=False),  # JSON: id of a Subscription to its last event number
    Column("gaps", Integer, nullable=False),
    Column("gap_at", Text, nullable=False),  # the last one
    # The look that they ask for.
    Column("due_at", Text, nullable=False),  # not before; "": none is asked for
    Column("looked_at", Text, nullable=False),  # the last one that was asked for
    Column("wait_seconds", Integer, nullable=False),  # after that one
)
