"""Every row of the evidence as a line of NDJSON."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from fhirbridge.audit.places import ROWS_AT_ONCE
from fhirbridge.fhir import codec
from fhirbridge.reports.audit_events import audit_event
from fhirbridge.store.tables import evidence


def every(tx: Connection, origin: str) -> Iterator[bytes]:
    """Yield each row as an AuditEvent, the oldest first."""
    chosen = select(evidence).order_by(evidence.c.at, evidence.c.id)
    for row in tx.execute(chosen.execution_options(yield_per=ROWS_AT_ONCE)):
        yield codec.encode(audit_event(row, origin=origin)) + b"\n"
