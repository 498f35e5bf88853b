"""Look ahead: what every delivery would do if it went now. Reads only, and asks no EHR.

Each decision is the sender's own (`deliver/prepare.py`), told what the ones before will have done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from fhirbridge.deliver import decide, prepare
from fhirbridge.deliver.bundle import Send
from fhirbridge.deliver.run import MOST_RUNS
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import differences, profiles
from fhirbridge.fhir.differences import Difference
from fhirbridge.outbox import claim, pauses
from fhirbridge.outbox.contents import SHARED_LANE, Contents, Identity
from fhirbridge.outbox.states import BLOCKED, EDITED, OPEN, STUCK, UNCERTAIN
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery

CHANGED_THERE = (EDITED, "gone: ")


class Step(StrEnum):
    """What becomes of a delivery, or of a resource in it."""

    SEND = "send"
    CREATE = "create"
    CHANGE = "change"
    RETRACT = "retract"
    SKIP = "skip"  # it is there, or something newer is
    READ_BACK = "read-back"  # an earlier request may have landed; what is missing is sent then
    WAIT = "wait"
    HOLD = "hold"
    CONFLICT = "conflict"  # somebody else changed or removed it in the EHR


GOES = (Step.SEND, Step.READ_BACK, Step.SKIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenResource:
    """One resource of a delivery. The values in `changes` are PHI, their paths are not."""

    resource: str
    step: Step
    changes: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One delivery that is not through, and what it would do."""

    delivery: str
    destination: str
    lane: str
    record: str
    step: Step
    reason: str = ""
    resources: tuple[ForeseenResource, ...] = ()


class _Line(NamedTuple):
    """What the ledger will say of a resource, once what goes before has arrived."""

    resource: str
    digest: str
    sequence: int
    ehr_version: str = ""


def foresee(
    tx: Connection, contents: Contents, *, now: datetime, meant: frozenset[str] | None
) -> Iterator[Foreseen]:
    """Yield every delivery that is meant (None: all), in the order in which they would go."""
    for one in registry.every(tx):
        yield from _Destination(tx, contents, one, now=now, meant=meant).foresee()
    for row in _rows(tx, STUCK, meant):
        edited = row.reason.startswith(CHANGED_THERE)
        yield _foreseen(row, Step.CONFLICT if edited else Step.HOLD, row.reason)


def _rows(
    tx: Connection, states: Sequence[str], meant: frozenset[str] | None, destination: str = ""
) -> list[Row[Any]]:
    chosen = select(delivery).where(delivery.c.state.in_(states))
    if destination:
        chosen = chosen.where(delivery.c.destination == destination)
    order = (delivery.c.created_at, delivery.c.destination, delivery.c.lane, delivery.c.sequence)
    return [row for row in tx.execute(chosen.order_by(*order)) if meant is None or row.id in meant]


def _foreseen(row: Row[Any], step: Step, reason: str = "") -> Foreseen:
    return Foreseen(
        delivery=row.id,
        destination=row.destination,
        lane=row.lane,
        record=row.record_id,
        step=step,
        reason=reason,
    )


class _Destination:
    """The lanes of one destination, gone through as the worker would."""

    def __init__(
        self,
        tx: Connection,
        contents: Contents,
        destination: Destination,
        *,
        now: datetime,
        meant: frozenset[str] | None,
    ) -> None:
        self._tx = tx
        self._contents = contents
        self._destination = destination
        self._now = moment.to_text(now)
        self._meant = meant
        self._assumed: dict[Identity, _Line] = {}
        self._shared_waits: list[int] = []  # sequences of shared ones that stop the rest
        self._shared_arrived = False

    def foresee(self) -> Iterator[Foreseen]:
        lanes: dict[str, list[Row[Any]]] = {}
        for row in _rows(self._tx, OPEN, self._meant, self._destination.name):
            lanes.setdefault(row.lane, []).append(row)
        for name in sorted(lanes, key=lambda lane: lane != SHARED_LANE):
            yield from self._lane(name, lanes[name])

    def _lane(self, name: str, rows: list[Row[Any]]) -> Iterator[Foreseen]:
        left = sorted(rows, key=lambda row: (row.state not in UNCERTAIN, row.sequence))
        blocked = {row.id: row.reason for row in left if row.reason.startswith(BLOCKED)}
        if name != SHARED_LANE and self._shared_arrived:
            blocked = {}
        while head := next((row for row in left if row.id not in blocked), None):
            waits = self._waits(name, head)
            if waits:
                break
            one = self._one(head)
            if one.step is Step.WAIT:
                blocked[head.id] = one.reason
                continue
            yield one
            left.remove(head)
            if one.step in GOES:
                blocked = {}
                self._shared_arrived |= name == SHARED_LANE
        yield from self._waiting(name, left, blocked)

    def _waiting(
        self, name: str, left: Sequence[Row[Any]], blocked: Mapping[str, str]
    ) -> Iterator[Foreseen]:
        """Say why each of these does not go: the first for a reason, the others behind it."""
        before = ""
        for row in left:
            reason = blocked.get(row.id, "")
            if not reason:
                reason = f"behind {before}" if before else self._waits(name, row)
                before = before or row.id
                if name == SHARED_LANE:
                    self._shared_waits.append(row.sequence)
            yield _foreseen(row, Step.WAIT, reason)

    def _waits(self, name: str, head: Row[Any]) -> str:
        if self._destination.paused:
            return f"the destination is paused: {self._destination.paused}"
        if pauses.is_put(self._tx, self._destination.name, name):
            return "paused by an operator"
        if head.due_at > self._now:
            return f"until {head.due_at}: {head.reason}"
        if any(sequence <= head.needs_shared for sequence in self._shared_waits):
            return "for what all patients share"
        return ""

    def _one(self, row: Row[Any]) -> Foreseen:
        if row.runs >= MOST_RUNS:
            return _foreseen(row, Step.HOLD, decide.poison(row).reason)
        made = prepare.prepare(
            self._tx,
            contents=self._contents,
            row=row,
            destination=self._destination,
            uncertain=row.state in UNCERTAIN,
            assumed=self._assumed,
        )
        if made.refusal:
            return _foreseen(row, Step.HOLD, made.refusal)
        if made.blocked_by:
            return _foreseen(row, Step.WAIT, f"{BLOCKED}{made.blocked_by}")
        for send in made.sends:
            self._assumed[send.identity] = _Line(send.resource, send.digest, row.sequence)
        step = Step.READ_BACK if made.read_first else Step.SEND if made.sends else Step.SKIP
        sent = [self._resource(send, read_back=made.read_first) for send in made.sends]
        kept = [
            ForeseenResource(resource=f"{item.identity.type}/{item.identity.id}", step=Step.SKIP)
            for item in claim.items(self._tx, row.id)
            if item.position in made.settled
        ]
        reason = "" if row.reason.startswith(BLOCKED) else row.reason  # it waits no longer
        return replace(_foreseen(row, step, reason), resources=(*sent, *kept))

    def _resource(self, send: Send, *, read_back: bool) -> ForeseenResource:
        name = f"{send.identity.type}/{send.identity.id}"
        if read_back:
            return ForeseenResource(resource=name, step=Step.READ_BACK)
        if not send.known:
            return ForeseenResource(resource=name, step=Step.CREATE)
        known = self._destination.traits.get("profiles", ())
        before = profiles.claimed(send.known[0].body, known)
        return ForeseenResource(
            resource=name,
            step=Step.RETRACT if send.retracts else Step.CHANGE,
            changes=tuple(differences.between(before, send.body)),
        )
