"""Drain one lane: lease, claim, send, settle. A generator that stops at each durable boundary.

Production drives it with a loop, a test with a scheduler that may kill it anywhere. What is known
of a request is in the database before and after it, so whoever comes next reads back and sends
blindly. A lane that breaks off keeps its lease: that is the pause before its next try.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import bundle, decide, prepare, traffic
from fhirbridge.deliver.answer import Answer, classify
from fhirbridge.deliver.bundle import Send
from fhirbridge.deliver.ending import Ending, Job
from fhirbridge.deliver.prepare import Prepared, Step
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import Key, key_of
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import LaneName
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import BLOCKED, OPEN, UNCERTAIN, Became, State
from fhirbridge.rng import Rng
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import delivery

MOST_RUNS = 5
OVERLAP = timedelta(minutes=5)  # by which an EHR's clock may be behind ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What a lane runner works with."""

    store: Store
    clock: Clock
    rng: Rng
    contents: Contents
    settlement: Settlement
    audit: EvidenceLog
    ehr_for: Callable[[Destination], Ehr]
    crew: Callable[[Sequence[Callable[[], None]]], None]  # does several things: at once, or in turn
    only: frozenset[str] | None = None  # the deliveries that may go; None for all


def _always() -> bool:
    return True


def drain(rooms: Rooms, name: LaneName, *, go_on: Callable[[], bool] = _always) -> Iterator[str]:
    """Deliver what is due in one lane, in order; yield the name of each step once it is durable.

    `go_on` is asked before each delivery: where it says no, the lane is given back.
    """
    with rooms.store.begin() as tx:
        fence = claim.lease(tx, name, rooms.clock.now())
    if fence is None:
        return
    yield "leased"
    lane = _Lane(rooms, name, fence)
    while go_on() and (row := lane.pick()) is not None:
        job = lane.start(row)
        if job is not None:
            yield "claimed"
            outcome = lane.ask(job)
            yield "answered"
            lane.settle(job, outcome)
        yield "settled"
    with rooms.store.begin() as tx:
        claim.release(tx, name, fence)
    yield "released"


class _Lane:
    def __init__(self, rooms: Rooms, name: LaneName, fence: int) -> None:
        self._rooms = rooms
        self._name = name
        self._fence = fence
        self._bodies = _Opened("", rooms.contents)
        self._ending = Ending(
            contents=rooms.contents, settlement=rooms.settlement, audit=rooms.audit
        )
        with rooms.store.read() as tx:
            self._ehr = rooms.ehr_for(registry.get(tx, name.destination))

    def pick(self) -> Row[Any] | None:
        """Choose the next delivery and count the run, so that one which kills the worker is found.

        Counted in a commit of its own, before anything of the delivery is even opened.
        """
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            now = self._rooms.clock.now()
            row = claim.next_in_lane(tx, self._name, now)
            destination = registry.get(tx, self._name.destination)
            if row is None or destination.paused or traffic.closed(tx, destination, now):
                return None
            if self._rooms.only is not None and row.id not in self._rooms.only:
                return None
            claim.count_run(tx, row.id)
            return row

    def start(self, row: Row[Any]) -> Job | None:
        """Claim a chosen delivery; None where it needed no request, or may not go."""
        if row.runs < MOST_RUNS:
            with self._rooms.store.read() as tx:  # opened before anything locks the database
                self._opened(row.id).open_what_waits(tx)
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            if row.runs >= MOST_RUNS:
                self._rooms.settlement.move(tx, row.id, decide.poison(row))
                return None
            return self._prepare(tx, row)

    def _prepare(self, tx: Connection, row: Row[Any]) -> Job | None:
        made = prepare.prepare(
            tx,
            body=self._opened(row.id).body,
            row=row,
            destination=registry.get(tx, self._name.destination),
        )
        self._note_items(tx, row, made)
        if made.sends or row.state in UNCERTAIN:
            self._rooms.settlement.move(tx, row.id, Move(to=State.SENDING))
        if made.sends:
            job = Job(
                row=row,
                step=made.step,
                sends=made.sends,
                together=made.together,
                more=made.more,
                alone=made.alone,
                payload=_payload(made),
            )
            self._note_start(tx, job)
            return job
        self._rooms.settlement.move(tx, row.id, _without_request(made))
        return None

    def _opened(self, delivery_id: str) -> "_Opened":
        if self._bodies.delivery_id != delivery_id:
            self._bodies = _Opened(delivery_id, self._rooms.contents)
        return self._bodies

    def _note_items(self, tx: Connection, row: Row[Any], made: Prepared) -> None:
        """Note what needs no request, and what is about to go: a kill leaves it in doubt."""
        noted = self._rooms.settlement.note_item
        for position, outcome in made.settled.items():
            noted(tx, row.id, position, outcome)
        if made.step is not Step.READ:
            for send in made.sends:
                noted(tx, row.id, send.position, Became.SENT)
        if not made.sends:
            for position, cause in made.blocked.items():
                reason = f"{BLOCKED}{cause.type}/{cause.id}"
                noted(tx, row.id, position, Became.BLOCKED, reason=reason)

    def ask(self, job: Job) -> Outcome:
        """Send the transaction or the one resource, or read back what may have landed."""
        if job.step is Step.READ:
            since = moment.from_text(job.row.created_at) - OVERLAP
            return self._ehr.read_many([_wanted(send) for send in job.sends], since=since)
        if job.step in (Step.BUNDLE, Step.BATCH):
            return self._ehr.bundle(job.payload)
        (send,) = job.sends
        key = None if send.there.ids is None else key_of(send.body)
        if key is not None and not send.ehr_id:
            return self._ehr.create(key.type, job.payload, if_none_exist=key.query)
        guard = bundle.guard(send)
        return self._ehr.put(
            send.reference,
            job.payload,
            if_match=guard.get("ifMatch", ""),
            if_none_match=guard.get("ifNoneMatch", ""),
            key=key,
        )

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Keep what the EHR said and move the delivery; refused where the fence was lost."""
        now = self._rooms.clock.now()
        answer = classify(outcome, now=now, asked=job.asked)
        wait = decide.Wait(now=now, jitter=self._rooms.rng.jitter())
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            self._note_answer(tx, job, outcome, answer)
            move = self._ending.move(tx, job, outcome, answer, wait)
            self._rooms.settlement.move(tx, job.row.id, move)

    def _check_fence(self, tx: Connection) -> None:
        claim.check_fence(tx, self._name, self._fence, self._rooms.clock.now())

    def _note_start(self, tx: Connection, job: Job) -> None:
        detail = {"step": job.step.value, "entries": len(job.sends), "fence": self._fence}
        entry = self._entry(
            job.row,
            Action.DELIVERY_STARTED,
            outcome="ok",
            detail=detail,
            payload=job.payload or None,
        )
        self._rooms.audit.append(tx, entry)

    def _note_answer(self, tx: Connection, job: Job, outcome: Outcome, answer: Answer) -> None:
        entry = self._entry(
            job.row,
            Action.DELIVERY_ANSWERED,
            outcome=answer.kind.value,
            detail={"reason": answer.reason, "step": job.step.value},
            payload=outcome.body if isinstance(outcome, Response) else None,
        )
        self._rooms.audit.append(tx, entry)

    def _entry(
        self,
        row: Row[Any],
        action: Action,
        *,
        outcome: str,
        detail: dict[str, Any],
        payload: bytes | None,
    ) -> Entry:
        return Entry(
            actor="worker",
            action=action,
            outcome=outcome,
            record_id=row.record_id,
            delivery_id=row.id,
            destination=row.destination,
            detail=detail,
            payload_owner=row.record_id if payload is not None else "",
            payload=payload,
        )


class _Opened:
    """Opens each resource of one delivery once: taken apart, it is prepared anew for each part."""

    def __init__(self, delivery_id: str, contents: Contents) -> None:
        self.delivery_id = delivery_id
        self._contents = contents
        self._bodies: dict[str, dict[str, Any]] = {}

    def open_what_waits(self, tx: Connection) -> None:
        for item in claim.items(tx, self.delivery_id):
            if item.outcome == Became.WAITING:
                self.body(tx, item.resource)

    def body(self, tx: Connection, row_id: str) -> dict[str, Any]:
        if row_id not in self._bodies:
            self._bodies[row_id] = self._contents.body(tx, row_id)
        return self._bodies[row_id]


def _wanted(send: Send) -> str | Key:
    """Return by what it is read: its id there, or its key where nobody heard which that is."""
    return send.reference if send.ehr_id else key_of(send.body)


def _payload(made: Prepared) -> bytes:
    """Return what the request carries of a patient's, which the evidence keeps too."""
    if made.step is Step.READ:
        return b""
    if made.step is Step.BUNDLE:
        return bundle.transaction(made.sends)
    if made.step is Step.BATCH:
        return bundle.batch(made.sends)
    (send,) = made.sends
    return codec.encode(send.there.written(send.body))


def _without_request(made: Prepared) -> Move:
    """Nothing of it goes out now: it may not, it waits, it was refused, or all of it is there."""
    if made.refusal:
        return Move(to=State.HELD, reason=made.refusal, counts={"runs": 0})
    if made.blocked_by:
        return Move(to=State.PENDING, reason=f"{BLOCKED}{made.blocked_by}", counts={"runs": 0})
    if made.refused:
        return decide.set_aside(made.refused, len(made.blocked))
    return decide.delivered()


def next_due(tx: Connection, now: datetime) -> datetime | None:
    """Return when something that waits for its time, or for its destination, is due, or None."""
    found = [_next_due(tx, one, now) for one in registry.every(tx) if not one.paused]
    return min((due for due in found if due is not None), default=None)


def _next_due(tx: Connection, one: Destination, now: datetime) -> datetime | None:
    # Joined to nothing, so that the index of due times is used and its first row is enough.
    waiting = select(delivery.c.due_at).where(
        delivery.c.destination.concat("") == one.name, delivery.c.state.in_(OPEN)
    )
    shut = traffic.closed(tx, one, now)
    if shut is not None:
        until = moment.to_text(shut.until)
        if tx.scalar(waiting.where(delivery.c.due_at <= until).limit(1)) is not None:
            return shut.until
    after = moment.to_text(now if shut is None else shut.until)
    later = waiting.where(delivery.c.due_at > after)
    due = tx.scalar(later.order_by(delivery.c.due_at).limit(1))
    return None if due is None else moment.from_text(due)
