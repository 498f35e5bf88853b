"""A bridge whose records are older than they must be kept."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, select

from fhirbridge.intake.accept import Receipt
from fhirbridge.records.history import Chart
from fhirbridge.reports.table import Period, Report
from fhirbridge.retention.holds import Word
from fhirbridge.retention.purge import Plan, Purged
from fhirbridge.store.tables import payload_key, record, resource
from fhirbridge.translate.mapping_set import Files
from tests.factories import Record, World
from tests.mapping_sets import few_mappings

DAYS = 2192
WORD = Word(reason="Synthetic: a lawsuit", by="Synthetic Counsel")


class Archive(World):
    """A World with an EHR, `ehr`, and a purge after six years."""

    def __init__(
        self,
        *,
        url: str = "sqlite://",
        mapped: Callable[[], Files] = few_mappings,
        goes_on: int = 0,
    ) -> None:
        """With an EHR that is added now, or, as run `goes_on`, with the database of another."""
        super().__init__(url=url, mapped=mapped, seed=1 + goes_on)
        if not goes_on:
            self.connect()

    def take_old(self, *visits: Record) -> list[Receipt]:
        """Deliver visits, and let six years and a day pass."""
        taken = [self.take(visit) for visit in visits]
        self.settle()
        self.clock.jump(timedelta(days=DAYS + 1))
        return taken

    def plan(self) -> Plan:
        return self.bridge.retention_plan(DAYS)

    def purge(self) -> Purged:
        return self.bridge.purge(DAYS, actor="test")

    def purged(self) -> set[str]:
        """Ids of the record versions that are gone."""
        with self.store.read() as tx:
            return set(tx.scalars(select(record.c.id).where(record.c.purged_at != "")))

    def chart_of(self, receipt: Receipt) -> Chart:
        row = self.record_row(receipt)
        return Chart(patient=row.patient_key)

    def session_of(self, receipt: Receipt) -> Chart:
        row = self.record_row(receipt)
        return Chart(patient=row.patient_key, sessions=frozenset({row.session_key}))

    def record_row(self, receipt: Receipt) -> Row[Any]:
        with self.store.read() as tx:
            return tx.execute(select(record).where(record.c.id == receipt.id)).one()

    def made_of(self, receipt: Receipt) -> list[Row[Any]]:
        with self.store.read() as tx:
            return list(tx.execute(select(resource).where(resource.c.record_id == receipt.id)))

    def wrapped(self, receipt: Receipt) -> bytes | None:
        """The key of a record as it lies in the database."""
        with self.store.read() as tx:
            found: bytes | None = tx.scalar(
                select(payload_key.c.wrapped).where(payload_key.c.owner == receipt.id)
            )
            return found

    def completeness(self, *, live: bool = False) -> Report:
        today = self.clock.now().date()
        whole = Period(since=today - timedelta(days=2 * DAYS), until=today)
        return self.bridge.completeness(whole, live=live, actor="test")
