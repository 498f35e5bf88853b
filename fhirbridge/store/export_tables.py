"""The table of Bulk Data exports that readers began. No PHI: types, times, numbers."""

from sqlalchemy import Column, Index, LargeBinary, Table

from fhirbridge.store.columns import Integer, Text, metadata

# exports: what a reader asked for and at which number of the shelf; its files are read from there
bulk_export = Table(
    "bulk_export",
    metadata,
    Column("id", Text, primary_key=True),
    Column("destination", Text, nullable=False),  # the facade
    Column("token", Text, nullable=False),  # whose it is
    Column("request", Text, nullable=False),  # the address, without what was asked
    Column("level", Text, nullable=False),  # system | patient
    Column("since", Text, nullable=False),  # a stored moment, or ""
    Column("upto", Integer, nullable=False),  # the last number that it knows
    Column("at", Text, nullable=False),  # when that was
    Column("files", Text, nullable=False),  # JSON: type, place, first, last, count
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    # what was asked, which may name patients; NULL before schema 18, when nothing could
    Column("sealed", LargeBinary),
)
Index("bulk_export_expires", bulk_export.c.expires_at)
