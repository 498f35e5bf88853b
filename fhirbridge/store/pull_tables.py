"""Tables of what is pulled from EHRs, and of the events that tell of it. No PHI in the clear."""

from sqlalchemy import Column, Index, LargeBinary, Table

from fhirbridge.store import append_only
from fhirbridge.store.columns import Integer, Text, metadata

# pull: what an EHR has of one patient and type, as it was last read whole; one row, written over
ehr_view = Table(
    "ehr_view",
    metadata,
    Column("destination", Text, primary_key=True),
    Column("lane", Text, primary_key=True),
    Column("type", Text, primary_key=True),
    Column("id", Text, nullable=False, unique=True),  # owns the key that seals it
    Column("ehr_id", Text, nullable=False),  # of the EHR's Patient that was asked for
    Column("version", Integer, nullable=False),  # one more with each change; 0: never read whole
    Column("theirs", Integer, nullable=False),  # how many are
    Column("ours", Integer, nullable=False),  # how many we sent: known already, not kept here
    Column("left_out", Text, nullable=False),  # JSON: why, and how many
    Column("as_of", Text, nullable=False),  # when it was last read whole, or ""
    Column("asked_at", Text, nullable=False),
    Column("ended", Text, nullable=False),  # how the last asking ended: pull/asking.py has them
    Column("said", Text, nullable=False),  # about that: codes and status, or ""
    Column("expires_at", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # theirs
)
Index("ehr_view_expires", ehr_view.c.expires_at)

# events: what whoever asks after a sequence gets; ids of ours and codes alone
event = Table(
    "event",
    metadata,
    # Not the database's own numbering: that shows a later number before an earlier one.
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subkind", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("patient", Text, nullable=False),  # our opaque name, or ""
    Column("detail", Text, nullable=False),  # JSON of codes, counts and opaque ids
    # One more with each event of the patient; 0: of nobody, or of before there was this column.
    Column("patient_sequence", Integer, nullable=False, server_default="0"),
)
Index("event_patient", event.c.patient, event.c.patient_sequence)
append_only.guard(event)
