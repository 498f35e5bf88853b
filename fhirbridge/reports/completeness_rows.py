"""What the database knows of record versions that came in a period, each line with its fate."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from fhirbridge.audit.log import Action
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import codec
from fhirbridge.outbox import contents
from fhirbridge.outbox.contents import Identity
from fhirbridge.reports.fates import Carried, Case, Fate, Verdict, judge
from fhirbridge.reports.table import Period
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, evidence, ledger, record, resource

AT_ONCE = 200
NOWHERE = Verdict(fate=Fate.NOT_OWED, reason="there was no destination")
_CARRIED: Select[Any] = (
    select(
        delivery_item.c.resource,
        delivery_item.c.type,
        delivery_item.c.resource_id,
        delivery_item.c.digest,
        delivery_item.c.outcome,
        delivery_item.c.reason.label("why"),
        delivery.c.id,
        delivery.c.destination,
        delivery.c.record_id,
        delivery.c.sequence,
        delivery.c.state,
        delivery.c.reason,
    )
    .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
    .order_by(delivery.c.sequence)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One resource version at one destination, or (no `identity`) a whole record version there."""

    record: str
    version: int
    received_at: str
    destination: str
    identity: Identity | None
    row: str  # of the resource version, or ""
    purpose: str
    verdict: Verdict
    ehr_id: str = ""
    ehr_version: str = ""
    digest: str = ""
    delivered_at: str = ""
    read_back_at: str = ""
    is_newest: bool = True  # what the ledger has is this version


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All lines, with how many record versions came by the evidence and are stored."""

    lines: tuple[Line, ...]
    received: int
    stored: int
    refused: int
    unmatched: tuple[tuple[str, str], ...]  # record, and what is missing of it


def read(tx: Connection, period: Period, destination: str = "") -> Found:
    """Read what came in a period. Raises DestinationError."""
    where = [*registry.every(tx), *registry.removed(tx)]
    if destination:
        registry.get(tx, destination)
        where = [one for one in where if one.name == destination]
    since, until = map(moment.to_text, period.moments())
    chosen = select(record).where(record.c.received_at >= since, record.c.received_at < until)
    rows = tx.execute(chosen.order_by(record.c.received_at, record.c.id)).all()
    accepted = _evidence(tx, Action.RECORD_ACCEPTED, since, until)
    stored = {row.id for row in rows}
    lines: list[Line] = []
    for start in range(0, len(rows), AT_ONCE):
        lines += _Part(tx, rows[start : start + AT_ONCE], where).lines()
    unmatched = [(one, "stored, and no evidence of it") for one in sorted(stored - accepted)]
    unmatched += [(one, "evidence of it, and not stored") for one in sorted(accepted - stored)]
    return Found(
        lines=tuple(lines),
        received=len(accepted),
        stored=len(stored),
        refused=_refused(tx, since, until),
        unmatched=tuple(unmatched),
    )


def _evidence(tx: Connection, action: Action, since: str, until: str) -> set[str]:
    chosen = select(evidence.c.record_id).where(
        evidence.c.action == action, evidence.c.at >= since, evidence.c.at < until
    )
    return set(tx.scalars(chosen))


def _refused(tx: Connection, since: str, until: str) -> int:
    chosen = select(evidence.c.id).where(
        evidence.c.action == Action.RECORD_REFUSED, evidence.c.at >= since, evidence.c.at < until
    )
    return len(tx.scalars(chosen).all())


class _Part:
    """Some record versions with all that was made and carried of them."""

    def __init__(
        self, tx: Connection, records: Sequence[Row[Any]], where: Sequence[Destination]
    ) -> None:
        self._tx = tx
        self._records = records
        self._where = where
        self._lost_by: dict[str, frozenset[Identity]] = {}
        ids = [row.id for row in records]
        made = select(
            *(column for column in resource.c if not column.name.startswith("sealed"))
        ).where(resource.c.record_id.in_(ids))
        self._made = _by(tx.execute(made.order_by(resource.c.sequence)), lambda row: row.record_id)
        of_these = select(resource.c.id).where(resource.c.record_id.in_(ids))
        carried = tx.execute(_CARRIED.where(delivery_item.c.resource.in_(of_these)))
        self._carried = _by(carried, lambda row: (row.resource, row.destination))
        whole = select(delivery).where(delivery.c.record_id.in_(ids))
        self._whole = _by(
            tx.execute(whole.order_by(delivery.c.sequence)),
            lambda row: (row.record_id, row.destination),
        )

    def lines(self) -> Iterator[Line]:
        for row in self._records:
            of_it = [line for one in self._where for line in self._at(row, one)]
            yield from of_it or [_line(row, None, "", NOWHERE)]

    def _at(self, row: Row[Any], where: Destination) -> Iterator[Line]:
        """Yield the lines of one record version at one destination, at least one."""
        made = self._made.get(row.id, [])
        meant = [one for one in made if self._is_meant(one, where)]
        for one in meant:
            yield self._of_resource(row, one, where)
        if not meant:
            yield self._of_whole(row, where)

    def _is_meant(self, made: Row[Any], where: Destination) -> bool:
        """Say whether a resource version is for this destination, be it only of one delivery."""
        if (made.id, where.name) in self._carried:
            return True
        statement = made.purpose in (*contents.STATEMENTS, contents.OUTDATED)
        return bool(statement and made.overlay == where.overlay)

    def _of_resource(self, row: Row[Any], made: Row[Any], where: Destination) -> Line:
        identity = Identity(made.type, made.resource_id)
        known = self._ledger(identity, where.name)
        carried = self._carried.get((made.id, where.name), [])
        best = None if carried else contents.winner(self._tx, identity, made.overlay, made.lane)
        case = Case(
            purpose=made.purpose,
            record_state=row.state,
            in_error=row.in_error,
            taken_back=bool(row.retracted),
            carried=[_carried(one) for one in carried],
            alike=[] if carried else self._alike(identity, made.digest, where.name),
            newer=best is not None and best.id != made.id,
            in_ledger=known is not None,
            was_lost=known is None and identity in self._lost(where.name),
            removed=bool(where.removed_at),
        )
        verdict = judge(case)
        return _line(row, made, where.name, verdict, known)

    def _of_whole(self, row: Row[Any], where: Destination) -> Line:
        case = Case(
            purpose="",
            record_state=row.state,
            in_error=row.in_error,
            taken_back=bool(row.retracted),
            carried=[
                Carried(
                    delivery=one.id,
                    sequence=one.sequence,
                    state=one.state,
                    reason=one.reason,
                    outcome=None,
                )
                for one in self._whole.get((row.id, where.name), [])
            ],
            removed=bool(where.removed_at),
        )
        return _line(row, None, where.name, judge(case))

    def _alike(self, identity: Identity, digest: str, destination: str) -> list[Carried]:
        chosen = _CARRIED.where(
            delivery.c.destination == destination,
            delivery_item.c.type == identity.type,
            delivery_item.c.resource_id == identity.id,
            delivery_item.c.digest == digest,
        )
        return [_carried(one) for one in self._tx.execute(chosen)]

    def _lost(self, destination: str) -> frozenset[Identity]:
        """Return what it was found that a destination had lost, at any time."""
        if destination not in self._lost_by:
            chosen = select(evidence.c.detail).where(
                evidence.c.action == Action.EHR_LOST, evidence.c.destination == destination
            )
            named = [
                one
                for detail in self._tx.scalars(chosen)
                for one in codec.decode(detail.encode())["resources"]
            ]
            self._lost_by[destination] = frozenset(Identity(*one.split("/")) for one in named)
        return self._lost_by[destination]

    def _ledger(self, identity: Identity, destination: str) -> Row[Any] | None:
        chosen = select(ledger).where(
            ledger.c.destination == destination,
            ledger.c.type == identity.type,
            ledger.c.resource_id == identity.id,
        )
        return self._tx.execute(chosen).one_or_none()


def _by(rows: Iterable[Row[Any]], key: Callable[[Row[Any]], Any]) -> dict[Any, list[Row[Any]]]:
    found: dict[Any, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _carried(row: Row[Any]) -> Carried:
    return Carried(
        delivery=row.id,
        sequence=row.sequence,
        state=row.state,
        reason=row.reason,
        outcome=row.outcome,
        why=row.why,
    )


def _line(
    row: Row[Any],
    made: Row[Any] | None,
    destination: str,
    verdict: Verdict,
    known: Row[Any] | None = None,
) -> Line:
    base = Line(
        record=row.id,
        version=row.version,
        received_at=row.received_at,
        destination=destination,
        identity=None if made is None else Identity(made.type, made.resource_id),
        row="" if made is None else made.id,
        purpose="" if made is None else made.purpose,
        verdict=verdict,
    )
    if made is None or known is None:
        return base
    return replace(
        base,
        ehr_id=known.ehr_id,
        ehr_version=known.ehr_version,
        digest=known.digest,
        delivered_at=known.delivered_at,
        read_back_at=known.read_back_at,
        is_newest=made.id == known.resource or made.digest == known.digest,
    )
