"""Look ahead: what every delivery would do if it went now. Reads only, and asks no EHR.

Each decision is the sender's own (`deliver/prepare.py`), told what the ones before will have done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from fhirbridge.deliver import decide, prepare, traffic
from fhirbridge.deliver.bundle import NOT_THERE, Send
from fhirbridge.deliver.prepare import Prepared
from fhirbridge.deliver.run import MOST_RUNS
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import differences, profiles
from fhirbridge.fhir.differences import Difference
from fhirbridge.outbox import claim, pauses
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import SHARED_LANE, Contents, Identity
from fhirbridge.outbox.states import (
    BLOCKED,
    DOUBLED,
    EDITED,
    GONE,
    MERGED,
    NOT_AS_ITSELF,
    OPEN,
    STUCK,
    UNCERTAIN,
    Became,
)
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery

CHANGED_THERE = (DOUBLED, EDITED, GONE, MERGED)


class Step(StrEnum):
    """What becomes of a delivery, or of a resource in it."""

    SEND = "send"
    CREATE = "create"
    CHANGE = "change"
    RETRACT = "retract"
    SKIP = "skip"  # it is there, or something newer is
    NOT_SENT = "not-sent"  # not as itself: its type is left out, or the EHR lets nobody change it
    READ_BACK = "read-back"  # an earlier request may have landed; what is missing is sent then
    WAIT = "wait"
    HOLD = "hold"
    CONFLICT = "conflict"  # somebody else changed, removed or merged it in the EHR


GOES = (Step.SEND, Step.READ_BACK, Step.SKIP)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenResource:
    """One resource of a delivery. The values in `changes` are PHI, their paths are not."""

    resource: str
    step: Step
    changes: tuple[Difference, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """One delivery that is not through, and what it would do."""

    delivery: str
    destination: str
    lane: str
    record: str
    step: Step
    reason: str = ""
    guard: str = ""  # weak, where the EHR guards no update
    resources: tuple[ForeseenResource, ...] = ()


class _Line(NamedTuple):
    """What the ledger will say of a resource, once what goes before has arrived."""

    resource: str
    digest: str
    sequence: int
    ehr_version: str = ""
    decided: int | None = None  # not known before it goes


def foresee(
    tx: Connection, contents: Contents, *, now: datetime, meant: frozenset[str] | None
) -> Iterator[Foreseen]:
    """Yield every delivery that is meant (None: all), in the order in which they would go."""
    known = registry.every(tx)
    guards = {one.name: one.guard for one in known}
    for where in known:
        for one in _Destination(tx, contents, where, now=now, meant=meant).foresee():
            yield replace(one, guard=where.guard)
    for row in _rows(tx, STUCK, meant):
        edited = row.reason.startswith(CHANGED_THERE)
        one = _foreseen(row, Step.CONFLICT if edited else Step.HOLD, row.reason)
        yield replace(one, guard=guards[row.destination])


def _rows(
    tx: Connection, states: Sequence[str], meant: frozenset[str] | None, destination: str = ""
) -> list[Row[Any]]:
    chosen = select(delivery).where(delivery.c.state.in_(states))
    if destination:
        chosen = chosen.where(delivery.c.destination == destination)
    # Sorted here: asked to sort, SQLite reads all deliveries of a destination in that order.
    found = (row for row in tx.execute(chosen) if meant is None or row.id in meant)
    return sorted(found, key=attrgetter("created_at", "destination", "lane", "sequence"))


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
        self._at, self._now = now, moment.to_text(now)
        self._meant = meant
        self._shut = traffic.closed(tx, destination, now)
        self._assumed: dict[Identity, _Line] = {}  # what all share and the lane at hand will bring
        self._shared: dict[Identity, _Line] = {}
        self._shared_waits: list[int] = []  # sequences of shared ones that stop the rest
        self._shared_arrived = False

    def foresee(self) -> Iterator[Foreseen]:
        lanes: dict[str, list[Row[Any]]] = {}
        for row in _rows(self._tx, OPEN, self._meant, self._destination.name):
            lanes.setdefault(row.lane, []).append(row)
        for name in sorted(lanes, key=lambda lane: lane != SHARED_LANE):
            self._assumed = self._shared if name == SHARED_LANE else dict(self._shared)
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
        if self._shut is not None:
            until = moment.to_text(self._shut.until)
            return f"until {until}: {self._shut.cause}: {self._shut.words}"
        if head.due_at > self._now:
            return f"until {head.due_at}: {head.reason}"
        if any(sequence <= head.needs_shared for sequence in self._shared_waits):
            return "for what all patients share"
        return ""

    def _one(self, row: Row[Any]) -> Foreseen:
        if row.runs >= MOST_RUNS:
            return _foreseen(row, Step.HOLD, decide.poison(row).reason)
        made = self._prepare(row)
        read: tuple[Send, ...] = ()
        if made.step is prepare.Step.READ:
            read = self._assume(row, made.sends)
            made = self._prepare(row)
        stopped = made.refusal or (made.blocked_by and f"{BLOCKED}{made.blocked_by}")
        if stopped and not read:
            return _foreseen(row, Step.HOLD if made.refusal else Step.WAIT, stopped)
        self._assume(row, made.sends)
        found = [ForeseenResource(resource=_name(one), step=Step.READ_BACK) for one in read]
        if stopped:  # once that is read
            return replace(_foreseen(row, Step.READ_BACK, stopped), resources=tuple(found))
        if made.refused and not read and not made.sends:
            return _foreseen(row, Step.HOLD, _left_behind(made))
        found += [self._resource(send) for send in made.sends]
        found += self._unsent(row, made, [*read, *made.sends])
        goes = made.sends or made.to_come
        step = Step.READ_BACK if read else Step.SEND if goes else Step.SKIP
        reason = "" if row.reason.startswith(BLOCKED) else row.reason  # it waits no longer
        return replace(_foreseen(row, step, _left_behind(made) or reason), resources=tuple(found))

    def _prepare(self, row: Row[Any]) -> Prepared:
        return prepare.prepare(
            self._tx,
            body=self._contents.body,
            row=row,
            destination=self._destination,
            at=self._at,
            ahead=self._assumed,
        )

    def _assume(self, row: Row[Any], sends: tuple[Send, ...]) -> tuple[Send, ...]:
        """Take these as arrived; return them."""
        for send in sends:
            self._assumed[send.identity] = _Line(send.resource, send.digest, row.sequence)
        return sends

    def _resource(self, send: Send) -> ForeseenResource:
        if send.base == NOT_THERE:
            return ForeseenResource(resource=_name(send), step=Step.CREATE)
        return ForeseenResource(
            resource=_name(send),
            step=Step.RETRACT if send.retracts else Step.CHANGE,
            changes=self._changes(send),
        )

    def _changes(self, send: Send) -> tuple[Difference, ...]:
        """Compare with what the EHR has of ours; of what somebody else put there, say nothing."""
        (before,) = send.known
        if not before.digest:
            return ()
        known = self._destination.traits.get("profiles", ())
        return tuple(differences.between(profiles.claimed(before.body, known), send.body))

    def _unsent(
        self, row: Row[Any], made: Prepared, going: Sequence[Send]
    ) -> Iterator[ForeseenResource]:
        """Say of the rest: the EHR refused it, it points to such a one, or it need not go."""
        sent = {send.position for send in going}
        for item in claim.items(self._tx, row.id):
            if item.position in sent:
                continue
            step, reason = _of_unsent(item, made)
            name = f"{item.identity.type}/{item.identity.id}"
            yield ForeseenResource(resource=name, step=step, reason=reason)


def _of_unsent(item: Item, made: Prepared) -> tuple[Step, str]:
    """Say what becomes of what does not go as itself now, and why."""
    place = item.position
    became = made.settled.get(place, item.outcome)
    if place in made.to_come:
        return Step.CREATE, "as an addendum"
    if became in NOT_AS_ITSELF and place not in made.withheld:
        why = made.why.get(place, item.reason)
        return Step.NOT_SENT, f"{became}; {why}" if why else became
    if place in made.blocked:
        return Step.WAIT, ""
    if place in made.withheld:
        return Step.NOT_SENT, "a note is to say it"
    refused = item.outcome == Became.REFUSED and place not in made.settled
    return Step.HOLD if refused else Step.SKIP, ""


def _name(send: Send) -> str:
    return f"{send.identity.type}/{send.identity.id}"


def _left_behind(made: Prepared) -> str:
    """Say why a delivery is set aside once the rest of it went, or return ""."""
    return decide.set_aside(made.refused, len(made.blocked)).reason if made.refused else ""
