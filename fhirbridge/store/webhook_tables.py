"""Tables of webhooks that go out: who is told, what each is still owed, what each try came to."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# events: written with what they tell of, and not numbered yet; in the order of `number`
event_waiting = Table(
    "event_waiting",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subkind", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("patient", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

# webhooks: who is told; one row for each time that a name was added
webhook_endpoint = Table(
    "webhook_endpoint",
    metadata,
    Column("id", Text, primary_key=True),  # owns the key that seals the answers
    Column("name", Text, nullable=False),  # of one that is not removed: once
    Column("url", Text, nullable=False),
    Column("kinds", Text, nullable=False),  # JSON list; empty: of every kind
    Column("destinations", Text, nullable=False),  # JSON list; empty: of every one, and of none
    Column("networks", Text, nullable=False),  # JSON list: private ones that it may lie in
    Column("added_at", Text, nullable=False),
    Column("removed_at", Text, nullable=False),  # or ""
    Column("disabled_at", Text, nullable=False),  # or ""
    Column("disabled_why", Text, nullable=False),  # webhooks/decide.py has the words; or ""
    Column("reached", Integer, nullable=False),  # up to which event its messages are written
    Column("failing_since", Text, nullable=False),  # first failure since the last success, or ""
    Column("quiet_until", Text, nullable=False),  # nothing goes before: it asked for that; or ""
    Column("fence", Integer, nullable=False),  # one more with each lease
    Column("leased_until", Text, nullable=False),  # somebody sends to it; or ""
)

webhook_endpoint_secret = Table(
    "webhook_endpoint_secret",
    metadata,
    Column("id", Text, primary_key=True),  # owns the key that seals it
    Column("endpoint", Text, ForeignKey("webhook_endpoint.id"), nullable=False),
    Column("sealed", LargeBinary),  # null once it is erased
    Column("made_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),  # "" until another one took its place
)
Index("webhook_endpoint_secret_endpoint", webhook_endpoint_secret.c.endpoint)

# webhooks: one event for one endpoint; erased after some weeks
webhook_message = Table(
    "webhook_message",
    metadata,
    Column("endpoint", Text, ForeignKey("webhook_endpoint.id"), primary_key=True),
    Column("id", Text, primary_key=True),  # of the event, or of a test
    Column("sequence", Integer, nullable=False),  # of the event; 0: a test
    Column("body", Text, nullable=False),  # the bytes that are signed, each time the same
    Column("state", Text, nullable=False),  # webhooks/decide.py has the words
    Column("attempts", Integer, nullable=False),  # since it was queued, or replayed
    Column("due_at", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)
Index(
    "webhook_message_due",
    webhook_message.c.endpoint,
    webhook_message.c.state,
    webhook_message.c.due_at,
    webhook_message.c.sequence,
)
Index("webhook_message_created", webhook_message.c.created_at)

webhook_attempt = Table(
    "webhook_attempt",
    metadata,
    Column("id", Text, primary_key=True),
    Column("endpoint", Text, ForeignKey("webhook_endpoint.id"), nullable=False),
    Column("message", Text, nullable=False),
    Column("number", Integer, nullable=False),  # 1 for the first since it was queued or replayed
    Column("at", Text, nullable=False),
    Column("signed_at", Integer, nullable=False),  # webhook-timestamp, in seconds
    Column("status", Integer, nullable=False),  # 0: there was no answer
    Column("outcome", Text, nullable=False),  # delivered, failed or gone
    Column("reason", Text, nullable=False),  # a few stable words, or ""
    Column("took_ms", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the beginning of the answer
)
Index("webhook_attempt_message", webhook_attempt.c.endpoint, webhook_attempt.c.message)
Index("webhook_attempt_at", webhook_attempt.c.at)
