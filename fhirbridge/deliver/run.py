"""Drain one lane: lease, claim, send, settle. A generator that stops at each durable boundary.

Production drives it with a loop, a test with a scheduler that may kill it anywhere. What is known
of a request is in the database before and after it, so whoever comes next reads back and sends
blindly. A lane that breaks off keeps its lease: that is the pause before its next try.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import bundle, decide, ledger, prepare
from fhirbridge.deliver.answer import Answer, Kind, classify
from fhirbridge.deliver.bundle import Known, Send
from fhirbridge.deliver.prepare import Prepared
from fhirbridge.deliver.readback import Found, Reading, readings
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import LaneName
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import BLOCKED, OPEN, UNCERTAIN, State
from fhirbridge.rng import Rng
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import delivery
from fhirbridge.store.tables import destination as destinations

MOST_RUNS = 5


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
    only: frozenset[str] | None = None  # the deliveries that may go; None for all


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One claimed delivery: `uncertain` means that something of it may have landed before."""

    row: Row[Any]
    sends: tuple[Send, ...]
    uncertain: bool
    earlier_reason: str


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
        with rooms.store.read() as tx:
            self._ehr = rooms.ehr_for(registry.get(tx, name.destination))

    def pick(self) -> Row[Any] | None:
        """Choose the next delivery and count the run, so that one which kills the worker is found.

        Counted in a commit of its own, before anything of the delivery is even opened.
        """
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            row = claim.next_in_lane(tx, self._name, self._rooms.clock.now())
            if row is None or registry.get(tx, self._name.destination).paused:
                return None
            if self._rooms.only is not None and row.id not in self._rooms.only:
                return None
            claim.count_run(tx, row.id)
            return row

    def start(self, row: Row[Any]) -> Job | None:
        """Claim a chosen delivery; None where it needed no request, or may not go."""
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            if row.runs >= MOST_RUNS:
                self._rooms.settlement.move(tx, row.id, decide.poison(row))
                return None
            return self._prepare(tx, row)

    def _prepare(self, tx: Connection, row: Row[Any]) -> Job | None:
        settlement = self._rooms.settlement
        uncertain = row.state in UNCERTAIN
        made = prepare.prepare(
            tx,
            contents=self._rooms.contents,
            row=row,
            destination=registry.get(tx, self._name.destination),
            uncertain=uncertain,
        )
        for position, outcome in made.settled.items():
            settlement.note_item(tx, row.id, position, outcome)
        if made.sends or uncertain:
            settlement.move(tx, row.id, Move(to=State.SENDING))
        if made.sends:
            self._note_start(tx, row, made.sends, read_first=made.read_first)
            return Job(
                row=row, sends=made.sends, uncertain=made.read_first, earlier_reason=row.reason
            )
        settlement.move(tx, row.id, _without_request(made))
        return None

    def ask(self, job: Job) -> Outcome:
        """Send the transaction, or read back where an earlier request may have landed."""
        if job.uncertain:
            return self._ehr.read_many(
                [f"{send.identity.type}/{send.identity.id}" for send in job.sends]
            )
        return self._ehr.bundle(bundle.transaction(job.sends))

    def settle(self, job: Job, outcome: Outcome) -> None:
        """Keep what the EHR said and move the delivery; refused where the fence was lost."""
        now = self._rooms.clock.now()
        answer = classify(outcome, now=now)
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            self._note_answer(tx, job, outcome, answer)
            if job.uncertain:
                move = self._after_reading(tx, job, answer, now)
            else:
                move = self._after_sending(tx, job, answer, now)
            self._rooms.settlement.move(tx, job.row.id, move)
            if answer.kind is Kind.AUTH:
                self._pause(tx, f"the EHR refused our sign-in: {answer.reason}")

    def _after_sending(self, tx: Connection, job: Job, answer: Answer, now: datetime) -> Move:
        if answer.kind is not Kind.OK:
            return decide.after_refusal(job.row, answer, now=now, jitter=self._rooms.rng.jitter())
        landed = bundle.landed(job.sends, answer.body or {})
        if landed is None:
            return Move(to=State.UNKNOWN, reason=decide.NOT_ACCOUNTED, counts={"runs": 0})
        for send, one in zip(job.sends, landed, strict=True):
            self._save(tx, job, send, one.version, now, read_back=False)
        return decide.delivered()

    def _after_reading(self, tx: Connection, job: Job, answer: Answer, now: datetime) -> Move:
        wait = decide.Wait(now=now, jitter=self._rooms.rng.jitter())
        if answer.kind is not Kind.OK:
            return decide.still_unknown(job.row, answer, job.earlier_reason, wait)
        found = readings(job.sends, answer.body or {})
        for reading in found:
            if reading.found is Found.OURS:
                self._save(tx, job, reading.send, reading.version, now, read_back=True)
            elif reading.known is not None:
                self._rebase(tx, reading, reading.known, now)
            elif reading.found is Found.ABSENT and reading.send.retracts:
                position = reading.send.position
                self._rooms.settlement.note_item(tx, job.row.id, position, prepare.UNCHANGED)
        return decide.after_reading(job.row, found, job.earlier_reason, wait)

    def _save(
        self, tx: Connection, job: Job, send: Send, version: str, now: datetime, *, read_back: bool
    ) -> None:
        ledger.save(
            tx,
            destination=self._name.destination,
            identity=send.identity,
            held=send,
            version=version,
            sequence=job.row.sequence,
            at=moment.to_text(now),
            read_back=read_back,
        )
        outcome = "created" if send.base == bundle.NOT_THERE else "updated"
        self._rooms.settlement.note_item(tx, job.row.id, send.position, outcome)

    def _rebase(self, tx: Connection, reading: Reading, known: Known, now: datetime) -> None:
        """Note which of our earlier versions the EHR has: it guards the next update."""
        ledger.save(
            tx,
            destination=self._name.destination,
            identity=reading.send.identity,
            held=known,
            version=reading.version,
            sequence=known.sequence,
            at=moment.to_text(now),
            read_back=True,
        )

    def _pause(self, tx: Connection, why: str) -> None:
        registry.pause(tx, self._name.destination, why)
        entry = Entry(
            actor="worker",
            action=Action.DESTINATION_PAUSED,
            destination=self._name.destination,
            detail={"reason": why},
        )
        self._rooms.audit.append(tx, entry)

    def _check_fence(self, tx: Connection) -> None:
        claim.check_fence(tx, self._name, self._fence, self._rooms.clock.now())

    def _note_start(
        self, tx: Connection, row: Row[Any], sends: tuple[Send, ...], *, read_first: bool
    ) -> None:
        step = "read-back" if read_first else "send"
        entry = self._entry(
            row,
            Action.DELIVERY_STARTED,
            outcome="ok",
            detail={"step": step, "entries": len(sends), "fence": self._fence},
            payload=None if read_first else bundle.transaction(sends),
        )
        self._rooms.audit.append(tx, entry)

    def _note_answer(self, tx: Connection, job: Job, outcome: Outcome, answer: Answer) -> None:
        step = "read-back" if job.uncertain else "send"
        entry = self._entry(
            job.row,
            Action.DELIVERY_ANSWERED,
            outcome=answer.kind.value,
            detail={"reason": answer.reason, "step": step},
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


def _without_request(made: Prepared) -> Move:
    """Nothing of it goes out now: it may not, it waits for another one, or all of it is there."""
    if made.refusal:
        return Move(to=State.HELD, reason=made.refusal, counts={"runs": 0})
    if made.blocked_by:
        return Move(to=State.PENDING, reason=f"{BLOCKED}{made.blocked_by}", counts={"runs": 0})
    return decide.delivered()


def next_due(tx: Connection, now: datetime) -> datetime | None:
    """Return when the next delivery that waits for its time is due, or None."""
    later = (
        select(delivery.c.due_at)
        .join(destinations, destinations.c.name == delivery.c.destination)
        .where(
            delivery.c.state.in_(OPEN),
            delivery.c.due_at > moment.to_text(now),
            destinations.c.paused == "",
        )
    )
    due = tx.scalar(later.order_by(delivery.c.due_at).limit(1))
    return None if due is None else moment.from_text(due)
