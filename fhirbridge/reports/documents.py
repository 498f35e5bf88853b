"""The session records and stock documents of which a report is made: the newest of each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.intake import stock as stock_documents
from fhirbridge.records import history
from fhirbridge.store.sealed import ShreddedError, Vault
from fhirbridge.store.tables import record
from fhirbridge.store.tables import stock as stock_table

IN_ERROR = "entered in error"
TAKEN_BACK = "taken back from the chart"
ERASED = "its content was erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The newest version of one session or stock document. `left_out`: why it does not count."""

    id: str
    version: int
    patient: str = ""  # our opaque name
    session: str = ""  # our opaque name
    document: dict[str, Any] = field(default_factory=dict)
    findings: tuple[dict[str, Any], ...] = ()
    left_out: str = ""

    @property
    def clinic(self) -> str:
        """Return the clinic's own id, or "" where it is not known."""
        return str(self.document.get("clinic", {}).get("id", ""))


def sessions(tx: Connection, vault: Vault, clinic: str = "") -> Iterator[Kept]:
    """Yield the newest version of each session; of one that does not count the reason only."""
    chosen = select(record.c.id, record.c.version, record.c.patient_key, record.c.session_key)
    chosen = chosen.add_columns(record.c.in_error, record.c.retracted).where(
        record.c.state == "current"
    )
    for row in tx.execute(chosen.order_by(record.c.recorded_at, record.c.id)).all():
        why = IN_ERROR if row.in_error else TAKEN_BACK if row.retracted else ""
        try:
            held = history.content(tx, vault, row.id)
        except ShreddedError:
            held, why = {"document": {}, "findings": []}, why or ERASED
        found = Kept(
            id=row.id,
            version=row.version,
            patient=row.patient_key,
            session=row.session_key,
            document=held["document"],
            findings=tuple(held["findings"]),
            left_out=why,
        )
        if not clinic or found.clinic in ("", clinic):
            yield found


def stock(tx: Connection, vault: Vault, clinic: str = "") -> Iterator[Kept]:
    """Yield the newest version of each stock document, in the same way."""
    chosen = select(stock_table.c.id, stock_table.c.version, stock_table.c.in_error)
    chosen = chosen.where(stock_table.c.state == "current")
    for row in tx.execute(chosen.order_by(stock_table.c.recorded_at, stock_table.c.id)).all():
        why = IN_ERROR if row.in_error else ""
        try:
            held = stock_documents.view(tx, vault, row.id) or {}
        except ShreddedError:
            held, why = {}, why or ERASED
        found = Kept(
            id=row.id,
            version=row.version,
            document=held.get("document", {}),
            findings=tuple(held.get("findings", ())),
            left_out=why,
        )
        if not clinic or found.clinic in ("", clinic):
            yield found
