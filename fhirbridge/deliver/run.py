"""Drain one lane: lease, claim, send, settle. A generator that stops at each durable boundary.

Production drives it with a loop, a test with a scheduler that may kill it anywhere. What is known
of a request is in the database before and after it, so whoever comes next reads back and sends
blindly. A lane that breaks off keeps its lease: that is the pause before its next try.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Row

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import bundle, decide, prepare, traffic
from fhirbridge.deliver.answer import Answer, classify
from fhirbridge.deliver.bundle import Send
from fhirbridge.deliver.ending import Ending, Job
from fhirbridge.deliver.opened import Opened, UnopenedError, unopened
from fhirbridge.deliver.places import Places
from fhirbridge.deliver.prepare import Prepared, Step
from fhirbridge.deliver.shelving import Shelving
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir.names import Key, key_of
from fhirbridge.matching import asking
from fhirbridge.matching.links import Links
from fhirbridge.matching.theirs import asking as theirs_asking
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox import addenda, claim
from fhirbridge.outbox.claim import LaneName
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import BLOCKED, UNCERTAIN, Became, State
from fhirbridge.outbox.waking import Waking
from fhirbridge.rng import Rng
from fhirbridge.store import moment
from fhirbridge.store.engine import Store

MOST_RUNS = 5
# Of what needs no request: so many at a time, and for so long nobody else can write.
MOST_IN_A_COMMIT = 50
LONGEST_COMMIT_SECONDS = 0.2
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
    links: Links
    theirs: TheirLinks
    shelving: Shelving
    ehr_for: Callable[[Destination], Ehr]
    waking: Waking
    crew: Callable[[Sequence[Callable[[], None]]], None]  # does several things: at once, or in turn
    places: Places | None = None  # of one destination's crew; None for a lane by itself
    only: frozenset[str] | None = None  # the deliveries that may go; None for all


def _always() -> bool:
    return True


def drain(rooms: Rooms, name: LaneName, *, go_on: Callable[[], bool] = _always) -> Iterator[str]:
    """Deliver what is due in one lane, in order; yield the name of each step once it is durable.

    `go_on` is asked before each request: where it says no, the lane is given back.
    """
    lane = _Lane(rooms, name, go_on)
    try:
        yield from _through(lane)
    finally:
        lane.count_out()


def _through(lane: "_Lane") -> Iterator[str]:
    if not lane.take():
        return
    yield "leased"
    while lane.chosen:
        settled, job = lane.start()
        for _ in range(settled):
            yield "settled"
        if job is not None:
            yield "claimed"
            with job.measured("deliver"):
                outcome = lane.ask(job)
            yield "answered"
            with job.measured("answer") as step:
                step.set(outcome=lane.settle(job, outcome))
            yield "settled"
    yield "released"


class _Lane:
    """A leased lane. Each commit also chooses what goes next, or gives the lane back."""

    def __init__(self, rooms: Rooms, name: LaneName, go_on: Callable[[], bool]) -> None:
        self._rooms = rooms
        self._name = name
        self._go_on = go_on
        self._fence = 0
        self._places = rooms.places or Places()
        self._is_counted = False
        self.chosen: Sequence[Row[Any]] = ()
        self._bodies = Opened("", rooms.contents)
        self._ending = Ending(
            contents=rooms.contents,
            settlement=rooms.settlement,
            audit=rooms.audit,
            links=rooms.links,
            theirs=rooms.theirs,
        )
        self._ehr: Ehr

    def take(self) -> bool:
        """Lease the lane and choose what goes first; False where another has it.

        False too where the crew may have no more.
        """
        with self._rooms.store.begin() as tx:
            fence = self._lease(tx)
            if fence is None:
                return False
            self._fence = fence
            self._choose(tx, most=1)
        return True

    def _lease(self, tx: Connection) -> int | None:
        places, now = self._places, self._rooms.clock.now()
        fence = claim.lease(tx, self._name, now, beside=places.lanes, places=places.count)
        ahead = fence is None and places.may_lead
        if ahead:
            fence = claim.lease(tx, self._name, now, ahead=True)
        if fence is not None:
            known = registry.get(tx, self._name.destination)
            if not known.is_facade:
                self._ehr = self._rooms.ehr_for(known)
            places.join(self._name.lane, ahead=ahead, most=known.limits.concurrent)
            self._is_counted = True
        return fence

    def count_out(self) -> None:
        """Count it no more among the lanes of its crew, once."""
        if self._is_counted:
            self._is_counted = False
            self._places.leave(self._name.lane)

    def _choose(self, tx: Connection, *, most: int) -> None:
        """Choose what goes next and count its run; where nothing does, give the lane back.

        Counted and committed before anything of the delivery is even opened, so that one which
        kills the worker is found.
        """
        self.chosen = self._next(tx, most) if self._go_on() else []
        if self.chosen and self._is_second_suspect(tx, self.chosen[0]):
            self.chosen = []
        claim.count_runs(tx, self.chosen)
        if not self.chosen:
            claim.release(tx, self._name, self._fence)
            self.count_out()

    def _is_second_suspect(self, tx: Connection, row: Row[Any]) -> bool:
        now = self._rooms.clock.now()
        suspect = row.runs >= claim.SUSPECT_RUNS
        return suspect and claim.has_suspect_beside(tx, self._name, now)

    def _next(self, tx: Connection, most: int) -> list[Row[Any]]:
        now = self._rooms.clock.now()
        destination = registry.get(tx, self._name.destination)
        if destination.paused or traffic.closed(tx, destination, now):
            return []
        few = claim.next_in_lane(tx, self._name, now, most=most)
        only = self._rooms.only
        return few if only is None else list(takewhile(lambda row: row.id in only, few))

    def start(self) -> tuple[int, Job | None]:
        """Settle what needs no request, up to the first that does, and claim that one.

        Return how many were settled, and the claimed one. Only where one needed no request are
        several chosen after it: they cost one commit together, within bounds: on SQLite nobody
        else can write meanwhile.
        """
        chosen = self.chosen
        if chosen[0].runs < MOST_RUNS:
            self._open(chosen[0])
        return self._rooms.store.commit(lambda tx: self._start(tx, chosen))

    def _start(self, tx: Connection, chosen: Sequence[Row[Any]]) -> tuple[int, Job | None]:
        clock, job, settled = self._rooms.clock, None, 0
        until = clock.monotonic() + LONGEST_COMMIT_SECONDS
        self._check_fence(tx)
        for row in chosen:
            if (settled and clock.monotonic() > until) or not self._is_next(tx, row):
                break
            try:
                job = self._begin(tx, row)
            except UnopenedError:  # it goes for itself: nothing is opened in here
                break
            if job is not None:
                break
            settled += 1
        claim.count_runs(tx, chosen[settled + (job is not None) :], by=-1)
        if job is None:
            self._choose(tx, most=MOST_IN_A_COMMIT if settled else 1)
        return settled, job

    def _open(self, row: Row[Any]) -> None:
        """Open what waits, before anything locks the database."""
        if self._bodies.delivery_id != row.id:
            self._bodies = Opened(row.id, self._rooms.contents)
        with self._rooms.store.read() as tx:
            sealed = self._bodies.what_waits(tx)
        self._bodies.open(sealed)

    def _is_next(self, tx: Connection, row: Row[Any]) -> bool:
        """Say whether a chosen delivery may still go; somebody may have stopped it meanwhile."""
        return [one.id for one in self._next(tx, 1)] == [row.id]

    def _begin(self, tx: Connection, row: Row[Any]) -> Job | None:
        """Claim a delivery; None where it needed no request, or may not go."""
        if row.runs >= MOST_RUNS:
            self._rooms.settlement.move(tx, row.id, decide.poison(row))
            return None
        return self._prepare(tx, row)

    def _prepare(self, tx: Connection, row: Row[Any]) -> Job | None:
        destination = registry.get(tx, self._name.destination)
        if destination.only_creates:
            addenda.add(tx, self._rooms.contents, row)
        made = self._prepared(tx, row, destination)
        if made.step is Step.THEIRS:
            left = self._rooms.theirs.settle_unasked(tx, destination.name, made.wanted)
            made = replace(made, wanted=tuple(left[: theirs_asking.MOST_SEARCHES]))
            if not left:
                made = self._prepared(tx, row, destination)
        self._note_items(tx, row, made)
        asks = made.step in prepare.ASKING
        if made.sends or asks or row.state in UNCERTAIN:
            self._rooms.settlement.move(tx, row.id, Move(to=State.SENDING))
        if made.sends or asks:
            links = self._rooms.links
            is_who = made.step is Step.WHO
            question = links.question(tx, destination, row) if is_who else None
            job = Job.of(row, made, question)
            self._note_start(tx, job)
            if destination.is_facade:
                self._conclude(tx, job, self._rooms.shelving.put(tx, job))
                return None
            return job
        self._rooms.settlement.move(tx, row.id, _without_request(made))
        return None

    def _prepared(self, tx: Connection, row: Row[Any], destination: Destination) -> Prepared:
        return prepare.prepare(
            tx,
            body=self._bodies.body if self._bodies.delivery_id == row.id else unopened,
            row=row,
            destination=destination,
            at=self._rooms.clock.now(),
            theirs=self._rooms.theirs,
        )

    def _note_items(self, tx: Connection, row: Row[Any], made: Prepared) -> None:
        """Note what needs no request, and what is about to go: a kill leaves it in doubt."""
        settlement = self._rooms.settlement
        going = () if made.step is Step.READ else made.sends
        sent = {send.position: Became.SENT for send in going}
        settlement.note_items(tx, row.id, {**made.settled, **sent}, made.why)
        decided = max((send.there.decided for send in going), default=0)
        if made.link or decided:
            settlement.note_names(tx, row.id, list(sent), link=made.link, decided=decided)
        if not made.sends:
            for position, cause in made.blocked.items():
                reason = f"{BLOCKED}{cause.type}/{cause.id}"
                settlement.note_item(tx, row.id, position, Became.BLOCKED, reason=reason)

    def ask(self, job: Job) -> Outcome:
        """Send the transaction or the one resource, or read what is there, or who is."""
        if job.question is not None:
            return asking.ask(self._ehr, job.question)
        if job.step is Step.THEIRS:
            return theirs_asking.ask(self._ehr, job.wanted)
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

    def settle(self, job: Job, outcome: Outcome) -> str:
        """Keep what the EHR said, by its class; refused where the fence was lost."""

        def settle(tx: Connection) -> str:
            self._check_fence(tx)
            kind = self._conclude(tx, job, outcome)
            self._choose(tx, most=1)
            return kind

        return self._rooms.store.commit(settle)

    def _conclude(self, tx: Connection, job: Job, outcome: Outcome) -> str:
        now = self._rooms.clock.now()
        answer = classify(outcome, now=now, asked=job.asked)
        wait = decide.Wait(now=now, jitter=self._rooms.rng.jitter())
        self._note_answer(tx, job, outcome, answer)
        move = self._ending.move(tx, job, outcome, answer, wait)
        self._rooms.settlement.move(tx, job.row.id, move)
        return answer.kind.value

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


def _wanted(send: Send) -> str | Key:
    """Return by what it is read: its id there, or its key where nobody heard which that is."""
    return send.reference if send.ehr_id else key_of(send.body)


def _without_request(made: Prepared) -> Move:
    """Nothing of it goes out now: it may not, it waits, it was refused, or all of it is there."""
    if made.refusal:
        return Move(to=State.HELD, reason=made.refusal, counts={"runs": 0})
    if made.blocked_by:
        return Move(to=State.PENDING, reason=f"{BLOCKED}{made.blocked_by}", counts={"runs": 0})
    if made.refused:
        return decide.set_aside(made.refused, len(made.blocked))
    return decide.taken_back() if made.stopped else decide.delivered()
