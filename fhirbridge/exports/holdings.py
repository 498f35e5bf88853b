"""Walk what a destination holds of ours, chart by chart, in one order and in constant memory.

Whether something may be read is asked here and now, as before a delivery: consent, 42 CFR Part 2,
an operator's pause. What was rightly sent is exported to nobody once that is over.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, func, select

from fhirbridge.consent import state as consent
from fhirbridge.deliver import ledger as ledger_of
from fhirbridge.deliver.labels import PART_2_LABEL
from fhirbridge.destinations.registry import Destination
from fhirbridge.exports.question import Question
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import LITERAL
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import RETRACTION, SHARED_LANE, Contents, Identity
from fhirbridge.outbox.states import LANDED
from fhirbridge.records import history
from fhirbridge.store.sealed import ShreddedError, Vault
from fhirbridge.store.tables import delivery, delivery_item, ledger, record, resource

AT_ONCE = 500  # rows in memory
# In compact JSON. Within a text its quotes would have backslashes.
REFERENCE = re.compile(rb'"reference":"([^"\\]+)"')
One = TypeVar("One")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One resource that a destination holds: where it comes from, and what it says."""

    row: Row[Any]
    delivery: str  # that brought it, or ""
    raw: bytes  # as it was written: compact JSON

    @property
    def identity(self) -> Identity:
        """Say which resource it is."""
        return Identity(self.row.type, self.row.resource_id)

    @property
    def body(self) -> dict[str, Any]:
        """Return what it says."""
        said: dict[str, Any] = codec.decode_own(self.raw)
        return said

    @property
    def named(self) -> set[Identity]:
        """Return which resources it points to, without reading the rest."""
        found = (LITERAL.fullmatch(one.decode()) for one in REFERENCE.findall(self.raw))
        return {Identity(one[1], one[2]) for one in found if one is not None}


@dataclass(slots=True)
class Gate:
    """Says what may be read now, and counts what may not, by reason."""

    tx: Connection
    destination: Destination
    withheld: Counter[str] = field(default_factory=Counter)
    _known: dict[tuple[str, bool], str] = field(default_factory=dict)

    def lets(self, row: Row[Any]) -> bool:
        """Say whether this may be read."""
        part_2 = self._is_part_2(row)
        if next(iter(self._known), ("",))[0] != row.lane:
            self._known.clear()  # charts come one after the other
        if (row.lane, part_2) not in self._known:
            self._known[row.lane, part_2] = self._refusal(row.lane, part_2=part_2)
        why = self._known[row.lane, part_2]
        if why:
            self.withheld[why] += 1
        return not why

    def _refusal(self, lane: str, *, part_2: bool) -> str:
        name = self.destination.name
        if pauses.is_put(self.tx, name, lane):
            return "paused"
        if lane == SHARED_LANE:
            return ""
        sharing = consent.Need(
            destination=name,
            sharing_required=self.destination.requires_consent,
            part_2=False,
        )
        if consent.refusal(self.tx, lane, sharing):
            return "consent"
        need = consent.Need(destination=name, sharing_required=False, part_2=part_2)
        return "part-2" if consent.refusal(self.tx, lane, need) else ""

    def _is_part_2(self, row: Row[Any]) -> bool:
        """Say whether its record has that label; of what is taken back, whether any that said it.

        What is taken back repeats what was said before.
        """
        if PART_2_LABEL in row.labels.split():
            return True
        if row.purpose != RETRACTION:
            return False
        said = (
            select(record.c.session_key)
            .join(resource, resource.c.record_id == record.c.id)
            .where(resource.c.type == row.type, resource.c.resource_id == row.resource_id)
        )
        earlier = select(record.c.labels).where(record.c.session_key.in_(said)).distinct()
        return any(PART_2_LABEL in one.split() for one in self.tx.scalars(earlier))


class Holdings:
    """What one destination holds, read in one transaction."""

    def __init__(
        self,
        tx: Connection,
        *,
        vault: Vault,
        contents: Contents,
        destination: Destination,
        question: Question,
    ) -> None:
        self._tx = tx
        self._vault = vault
        self._contents = contents
        self._question = question
        self._clinics: dict[str, str] = {}
        self.gate = Gate(tx, destination)
        self.erased = 0

    def lanes(self) -> list[str]:
        """Return of which patients there are charts."""
        chosen = (
            select(resource.c.lane)
            .distinct()
            .join(ledger, ledger.c.resource == resource.c.id)
            .where(
                ledger.c.destination == self._question.destination,
                resource.c.lane != SHARED_LANE,
            )
        )
        return list(self._tx.scalars(chosen))

    def charts(self, question: Question | None = None) -> Iterator[tuple[str, Iterator[Held]]]:
        """Yield each chart (lane) with what is chosen of it, by type and id.

        A chart is to be read before the next one is asked for. What belongs to no patient comes
        last, and only where all is meant. `question` chooses instead of the one of the export.
        """
        asked = self._asked(question or self._question).execution_options(yield_per=AT_ONCE)
        rows = iter(self._tx.execute(asked))
        following: list[Row[Any]] = []
        if (first := next(rows, None)) is not None:
            following.append(first)
        while following:
            lane = following[0].lane
            yield lane, self._opened(self._of(lane, following, rows))

    def named(self, lane: str, wanted: Collection[Identity]) -> Iterator[Held]:
        """Yield those of `wanted` that stand in a chart, or belong to no patient."""
        for some in some_of(sorted(wanted)):
            found = [
                row
                for kind in sorted({one.type for one in some})
                for row in self._tx.execute(
                    _every(self._question.destination).where(
                        ledger.c.type == kind,
                        ledger.c.resource_id.in_([one.id for one in some if one.type == kind]),
                        resource.c.lane.in_([lane, SHARED_LANE]),
                    )
                )
            ]
            found.sort(key=lambda row: (row.type, row.resource_id))
            yield from self._opened(iter(found))

    def newest(self) -> str:
        """Return when what came last came to be there, or ""."""
        chosen = select(func.max(ledger.c.delivered_at)).where(
            ledger.c.destination == self._question.destination
        )
        return self._tx.scalar(chosen) or ""

    def _of(self, lane: str, following: list[Row[Any]], rows: Iterator[Row[Any]]) -> Iterator[Any]:
        while following and following[0].lane == lane:
            row = following.pop()
            if (after := next(rows, None)) is not None:
                following.append(after)
            yield row

    def _asked(self, question: Question) -> Select[Any]:
        asked = _every(question.destination).order_by(
            resource.c.lane, ledger.c.type, ledger.c.resource_id
        )
        if question.narrow:
            asked = asked.where(resource.c.lane != SHARED_LANE)
        if question.patient:
            asked = asked.where(resource.c.lane == question.patient)
        if question.sessions:
            asked = asked.where(record.c.session_key.in_(sorted(question.sessions)))
        if question.types:
            asked = asked.where(ledger.c.type.in_(sorted(question.types)))
        if question.since:
            asked = asked.where(ledger.c.delivered_at >= question.since)
        if question.begin:
            asked = asked.where(resource.c.as_of >= question.begin)
        return asked.where(resource.c.as_of < question.end) if question.end else asked

    def _opened(self, rows: Iterator[Row[Any]]) -> Iterator[Held]:
        for some in some_of(rows):
            chosen = [row for row in some if self._is_meant(row) and self.gate.lets(row)]
            brought = self._brought([row.resource for row in chosen])
            opened = self._unsealed([row.resource for row in chosen])
            for row in chosen:
                if (raw := opened.get(row.resource)) is not None:
                    yield Held(row=row, delivery=brought.get(row.resource, ""), raw=raw)

    def _unsealed(self, rows: Sequence[str]) -> dict[str, bytes]:
        sealed = self._contents.sealed(self._tx, rows)
        kept = [one for one in sealed if one.wrapped is not None]
        self.erased += len(sealed) - len(kept)
        return self._contents.unsealed(kept)

    def _brought(self, rows: Sequence[str]) -> dict[str, str]:
        """Name the last delivery that brought each of these versions there."""
        chosen = (
            select(delivery_item.c.resource, delivery.c.id)
            .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
            .where(
                delivery_item.c.resource.in_(rows),
                delivery_item.c.outcome.in_(LANDED),
                delivery.c.destination == self._question.destination,
            )
            .order_by(delivery.c.sequence)
        )
        return {row.resource: row.id for row in self._tx.execute(chosen)}

    def _is_meant(self, row: Row[Any]) -> bool:
        """Say whether it is of the clinic that is asked for, as its record says."""
        if not self._question.clinic or row.lane == SHARED_LANE:
            return True
        if row.record_id not in self._clinics:
            if len(self._clinics) >= AT_ONCE:
                self._clinics.clear()
            self._clinics[row.record_id] = self._clinic(row.record_id)
        return self._clinics[row.record_id] == self._question.clinic

    def _clinic(self, record_id: str) -> str:
        try:
            document = history.content(self._tx, self._vault, record_id)["document"]
        except ShreddedError:
            return ""
        return str(document.get("clinic", {}).get("id", ""))


def some_of(many: Iterable[One]) -> Iterator[list[One]]:
    """Yield the same in lists of at most AT_ONCE."""
    left = iter(many)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _every(destination: str) -> Select[Any]:
    return (
        select(
            ledger.c.type,
            ledger.c.resource_id,
            ledger.c.resource,
            ledger.c.ehr_id,
            ledger.c.ehr_version,
            ledger.c.delivered_at,
            resource.c.lane,
            resource.c.purpose,
            resource.c.mapping,
            resource.c.set_digest,
            resource.c.record_id,
            resource.c.as_of,
            record.c.version.label("record_version"),
            record.c.session_key,
            record.c.labels,
        )
        .join(resource, resource.c.id == ledger.c.resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(ledger.c.destination == destination, ledger_of.is_ours())
    )
