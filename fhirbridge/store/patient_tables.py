"""The tables of which of an EHR's patients a patient of ours is. Part of `tables.py`'s schema."""

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# matching: each row is one decision, and is followed by the next; the one that has not ended counts
patient_link = Table(
    "patient_link",
    metadata,
    Column("sequence", Integer, primary_key=True),  # given out by the database, in order
    Column("id", Text, nullable=False, unique=True),
    Column("destination", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("subject", Text, nullable=False),  # our Patient id
    Column("state", Text, nullable=False),  # linked | made | held | rejected
    Column("ehr_id", Text, nullable=False),  # of the EHR's Patient, or ""
    Column("how", Text, nullable=False),  # identifier | match | merge | person
    Column("why", Text, nullable=False),  # codes, space separated: why a person must look
    Column("follows", Text, nullable=False),  # id of the link that stood before, or ""
    Column("compared", Text, nullable=False),  # keyed digest of our Patient as it was compared
    Column("record_id", Text, ForeignKey("record.id"), nullable=False),  # whose key seals it
    Column("actor", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("checked_at", Text, nullable=False),  # when the EHR was last asked
    Column("only_for", Text, nullable=False),  # the record for which that holds; "" for all
    Column("ended_at", Text, nullable=False),  # "" while it counts
    Column("sealed", LargeBinary, nullable=False),  # both sides as compared, and a person's reason
)
Index(
    "patient_link_now",
    patient_link.c.destination,
    patient_link.c.lane,
    unique=True,
    sqlite_where=patient_link.c.ended_at == "",
    postgresql_where=patient_link.c.ended_at == "",
)
Index("patient_link_record", patient_link.c.record_id)
Index("patient_link_there", patient_link.c.destination, patient_link.c.ehr_id)
