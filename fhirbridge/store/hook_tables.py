"""Tables of signed messages: who may send them, which came, and what they said of patients."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# access
webhook_source = Table(
    "webhook_source",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("added_at", Text, nullable=False),
    Column("revoked_at", Text, nullable=False),  # since when nothing of it is taken, or ""
    # Well signed messages whose times are all off by as much: one of two clocks is wrong.
    Column("skew_seconds", Integer, nullable=False),
    Column("skew_seen_at", Text, nullable=False),  # when that was last seen, or ""
)

webhook_secret = Table(
    "webhook_secret",
    metadata,
    Column("id", Text, primary_key=True),  # owns the key that seals it
    Column("source", Text, ForeignKey("webhook_source.id"), nullable=False),
    Column("sealed", LargeBinary),  # null once it was revoked
    Column("made_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),  # "" until another one took its place
)
Index("webhook_secret_source", webhook_secret.c.source)

# intake: kept for ever, since nobody knows how late a sender repeats himself
message = Table(
    "message",
    metadata,
    Column("key", Text, primary_key=True),  # keyed digest of who sent it and of its id
    Column("body", Text, nullable=False),  # keyed digest
    Column("at", Text, nullable=False),
    Column("answer", LargeBinary),  # compressed JSON; null while nothing final was said
)

# intake: the clinic says that two of its patients are one; no resource is moved by that
patient_merge = Table(
    "patient_merge",
    metadata,
    Column("id", Text, primary_key=True),
    Column("survivor", Text, nullable=False),  # patient_key
    Column("merged", Text, nullable=False),  # patient_key
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
)

# consent: withdrawn by a message and not by a record; stays when records are read anew
consent_withdrawal = Table(
    "consent_withdrawal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("patient_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("recipient", Text, nullable=False),  # as the message named it; "*" for all
    Column("withdrawn_at", Text, nullable=False),
    Column("record_id", Text, ForeignKey("record.id"), nullable=False),  # of the patient, then
)
Index("consent_withdrawal_patient", consent_withdrawal.c.patient_key)
