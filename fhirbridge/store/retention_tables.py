"""The table of legal holds. Part of `tables.py`'s schema."""

from sqlalchemy import Column, Index, LargeBinary, Table

from fhirbridge.store.columns import Text, metadata

# retention: who said that a chart, or the chart of a session, must be kept; lifted ones stay
legal_hold = Table(
    "legal_hold",
    metadata,
    Column("id", Text, primary_key=True),  # owns the key that seals the reason
    Column("patient_key", Text, nullable=False),  # "" where a session is named
    Column("session_key", Text, nullable=False),  # "" where the whole chart is named
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("lifted_at", Text, nullable=False),  # "" while it holds
    Column("sealed", LargeBinary, nullable=False),  # the reason, and who asked for it
)
Index("legal_hold_patient", legal_hold.c.patient_key)
Index("legal_hold_session", legal_hold.c.session_key)
