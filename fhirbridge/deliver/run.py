"""Drain one lane: lease, claim, send, settle. A generator that stops at each durable boundary.

Production drives it with a loop, a test with a scheduler that may kill it anywhere. What is known of a
request is in the database before and after it, so whoever comes next reads back instead of sending blindly.
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
from fhirbridge.deliver.bundle import Landed, Send
from fhirbridge.deliver.readback import Found, Reading, readings
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import LaneName
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import OPEN, State
from fhirbridge.rng import Rng
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import delivery

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One claimed delivery: `uncertain` means that an earlier request may have landed."""

    row: Row[Any]
    sends: tuple[Send, ...]
    uncertain: bool
    earlier_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """A delivery that needs no request: `moved` to another state, or left to wait for another one."""

    sequence: int
    moved: bool


def drain(rooms: Rooms, name: LaneName) -> Iterator[str]:
    """Deliver what is due in one lane, in order; yield the name of each step as it becomes durable."""
    with rooms.store.begin() as tx:
        fence = claim.lease(tx, name, rooms.clock.now())
    if fence is None:
        return
    yield "leased"
    lane = _Lane(rooms, name, fence)
    after = 0
    while (step := lane.start(after)) is not None:
        if isinstance(step, Passed):
            after = step.sequence
            if step.moved:
                yield "settled"
            continue
        yield "claimed"
        outcome = lane.ask(step)
        yield "answered"
        lane.settle(step, outcome)
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

    def start(self, after: int) -> Job | Passed | None:
        """Claim the next delivery after a sequence; None where nothing more may go now."""
        with self._rooms.store.begin() as tx:
            self._check_fence(tx)
            destination = registry.get(tx, self._name.destination)
            row = claim.next_in_lane(tx, self._name, self._rooms.clock.now(), after)
            if row is None or destination.paused:
                return None
            if row.runs >= MOST_RUNS:
                self._rooms.settlement.move(tx, row.id, decide.poison(row))
                return Passed(sequence=row.sequence, moved=True)
            return self._prepare(tx, row, destination)

    def _prepare(self, tx: Connection, row: Row[Any], destination: Destination) -> Job | Passed:
        rooms = self._rooms
        uncertain = row.state in (State.SENDING, State.UNKNOWN)
        made = prepare.prepare(tx, contents=rooms.contents, row=row, destination=destination)
        if made.blocked_by and not uncertain:
            return Passed(sequence=row.sequence, moved=False)
        rooms.settlement.move(tx, row.id, Move(to=State.SENDING, counts={"runs": row.runs + 1}))
        if made.refusal and not uncertain:
            rooms.settlement.move(
                tx, row.id, Move(to=State.HELD, reason=made.refusal, counts={"runs": 0})
            )
            return Passed(sequence=row.sequence, moved=True)
        for position, outcome in made.settled.items():
            rooms.settlement.note_item(tx, row.id, position, outcome)
        if not made.sends:
            rooms.settlement.move(tx, row.id, Move(to=State.DELIVERED, counts={"runs": 0}))
            return Passed(sequence=row.sequence, moved=True)
        self._note_start(tx, row, made.sends, uncertain=uncertain)
        return Job(row=row, sends=made.sends, uncertain=uncertain, earlier_reason=row.reason)

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
                registry.pause(
                    tx, self._name.destination, f"the EHR refused our sign-in: {answer.reason}"
                )

    def _after_sending(self, tx: Connection, job: Job, answer: Answer, now: datetime) -> Move:
        if answer.kind is not Kind.OK:
            return decide.after_refusal(job.row, answer, now=now, jitter=self._rooms.rng.jitter())
        landed = bundle.landed(job.sends, answer.body or {})
        if landed is None:
            return Move(
                to=State.UNKNOWN,
                reason="the answer does not account for every entry",
                counts={"runs": 0},
            )
        for send, one in zip(job.sends, landed, strict=True):
            self._save(tx, job, send, one, now, read_back=False)
        return decide.delivered()

    def _after_reading(self, tx: Connection, job: Job, answer: Answer, now: datetime) -> Move:
        wait = decide.Wait(now=now, jitter=self._rooms.rng.jitter())
        if answer.kind is not Kind.OK:
            return decide.still_unknown(job.row, answer, wait)
        found = readings(job.sends, answer.body or {})
        for reading in found:
            if reading.found is Found.OURS:
                one = Landed(identity=reading.send.identity, version=reading.version, created=False)
                self._save(tx, job, reading.send, one, now, read_back=True)
            elif reading.found is Found.BASE and reading.version != reading.send.base:
                self._rebase(tx, job, reading, now)
        return decide.after_reading(job.row, found, job.earlier_reason, wait)

    def _save(
        self, tx: Connection, job: Job, send: Send, one: Landed, now: datetime, *, read_back: bool
    ) -> None:
        ledger.save(
            tx,
            destination=self._name.destination,
            send=send,
            version=one.version,
            sequence=job.row.sequence,
            at=moment.to_text(now),
            read_back=read_back,
        )
        outcome = "created" if send.base == bundle.NOT_THERE else "updated"
        self._rooms.settlement.note_item(tx, job.row.id, send.position, outcome)

    def _rebase(self, tx: Connection, job: Job, reading: Reading, now: datetime) -> None:
        """The EHR gave our last content another version number: guard the next update by that one."""
        line = ledger.find(tx, self._name.destination, reading.send.identity)
        if line is not None:
            ledger.rebase(tx, line, version=reading.version, at=moment.to_text(now))

    def _check_fence(self, tx: Connection) -> None:
        claim.check_fence(tx, self._name, self._fence, self._rooms.clock.now())

    def _note_start(
        self, tx: Connection, row: Row[Any], sends: tuple[Send, ...], *, uncertain: bool
    ) -> None:
        payload = None if uncertain else bundle.transaction(sends)
        detail = {
            "step": "read-back" if uncertain else "send",
            "entries": len(sends),
            "fence": self._fence,
        }
        self._note(tx, row, Action.DELIVERY_STARTED, "ok", detail, payload)

    def _note_answer(self, tx: Connection, job: Job, outcome: Outcome, answer: Answer) -> None:
        payload = outcome.body if isinstance(outcome, Response) else None
        detail = {"reason": answer.reason, "step": "read-back" if job.uncertain else "send"}
        self._note(tx, job.row, Action.DELIVERY_ANSWERED, answer.kind.value, detail, payload)

    def _note(
        self,
        tx: Connection,
        row: Row[Any],
        action: Action,
        outcome: str,
        detail: dict[str, Any],
        payload: bytes | None,
    ) -> None:
        entry = Entry(
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
        self._rooms.audit.append(tx, entry)


def next_due(tx: Connection, now: datetime) -> datetime | None:
    """Return when the next delivery that waits for its time is due, or None."""
    later = select(delivery.c.due_at).where(
        delivery.c.state.in_(OPEN), delivery.c.due_at > moment.to_text(now)
    )
    due = tx.scalar(later.order_by(delivery.c.due_at).limit(1))
    return None if due is None else moment.from_text(due)
