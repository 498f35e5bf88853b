"""What an exchange means for its delivery: what landed is noted, what was refused is traced.

Everything happens in the transaction that it is given; the caller holds the lane's fence.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from fhirbridge import log, tracing
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.deliver import bundle, decide, ledger, order, refusal
from fhirbridge.deliver.answer import Answer, Asked, Kind, classify
from fhirbridge.deliver.bundle import NOT_THERE, Known, Landed, Send
from fhirbridge.deliver.decide import Refused, Wait
from fhirbridge.deliver.find import Find
from fhirbridge.deliver.identify import Identify
from fhirbridge.deliver.prepare import Prepared, Step
from fhirbridge.deliver.readback import Found, Reading, readings
from fhirbridge.destinations import registry
from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Outcome
from fhirbridge.fhir.outcome import Place, places
from fhirbridge.matching.asking import Question
from fhirbridge.matching.links import Links
from fhirbridge.matching.theirs.decide import Wanted
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import Became, State
from fhirbridge.store import moment
from fhirbridge.store.tables import resource

NO_PLACE = Place()
AfterAsking = Callable[[Connection, "Job", Answer, Wait], Move]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request of a claimed delivery; `together`, `more`, `alone` as prepared."""

    row: Row[Any]
    step: Step
    sends: tuple[Send, ...]
    together: bool
    more: bool
    alone: bool
    payload: bytes = b""  # what it carries; a read-back carries nothing
    question: Question | None = None  # of an identification
    wanted: tuple[Wanted, ...] = ()  # of what else the EHR has itself

    @classmethod
    def of(cls, row: Row[Any], made: Prepared, question: Question | None = None) -> "Job":
        """Return the request that was prepared for a delivery."""
        return cls(
            row=row,
            step=made.step,
            question=question,
            wanted=made.wanted,
            sends=made.sends,
            together=made.together,
            more=made.more,
            alone=made.alone,
            payload=made.payload,
        )

    @property
    def asked(self) -> Asked:
        """Return what the request is, for the table of answers."""
        if self.step is not Step.SINGLE:
            return Asked.BUNDLE
        return Asked.CREATE if self.sends[0].base == NOT_THERE else Asked.UPDATE

    def measured(self, name: str) -> AbstractContextManager[tracing.Span]:
        """Measure a step of it."""
        return tracing.span(
            name,
            record=self.row.record_id,
            delivery=self.row.id,
            destination=self.row.destination,
            step=self.step.value,
            entries=len(self.sends),
            attempt=self.row.attempts,
        )


class Ending:
    """Settles what one request of a delivery came to."""

    def __init__(
        self,
        *,
        contents: Contents,
        settlement: Settlement,
        audit: EvidenceLog,
        links: Links,
        theirs: TheirLinks,
    ) -> None:
        self._contents = contents
        self._settlement = settlement
        self._audit = audit
        self._after_asking: Mapping[Step, AfterAsking] = {
            Step.READ: self._after_reading,
            Step.WHO: Identify(links=links, settlement=settlement).move,
            Step.THEIRS: Find(theirs).move,
        }

    def move(self, tx: Connection, job: Job, outcome: Outcome, answer: Answer, wait: Wait) -> Move:
        """Keep what the EHR said of each resource; return where the delivery goes."""
        if answer.kind is Kind.AUTH:
            self._stop(tx, job, f"{registry.SIGN_IN_REFUSED}: {answer.reason}")
        if job.step in self._after_asking:
            return self._after_asking[job.step](tx, job, answer, wait)
        if answer.kind is Kind.OK:
            return self._after_success(tx, job, outcome, answer, wait)
        if answer.kind in decide.ASKS_BACK:
            return decide.to_read_back(answer.reason)
        # Nothing of it happened, and that is certain.
        self._note_all(tx, job, Became.WAITING)
        if answer.kind is Kind.PERMANENT:
            return self._after_refusal(tx, job, answer, wait)
        move = decide.after_refusal(job.row, answer, now=wait.now, jitter=wait.jitter)
        if move.to is State.PARKED and job.alone:
            return self._set_aside(tx, job, job.sends, answer)
        return move

    def _after_success(
        self, tx: Connection, job: Job, outcome: Outcome, answer: Answer, wait: Wait
    ) -> Move:
        if job.step is Step.BATCH:
            return self._after_batch(tx, job, answer, wait)
        if _was_there(job, outcome):
            return decide.to_read_back(decide.WAS_THERE)
        if job.asked is Asked.UPDATE and registry.get(tx, job.row.destination).guard:
            return decide.to_read_back(decide.WRITTEN_WEAKLY)
        landed = _landed(job, outcome, answer)
        if landed is None:
            return decide.to_read_back(decide.NOT_ACCOUNTED)
        arrived = [
            (send, one.ehr_id, one.version) for send, one in zip(job.sends, landed, strict=True)
        ]
        self._save(tx, job, arrived, wait.now, read_back=False)
        registry.end_forbidden(tx, job.row.destination)
        return decide.landed(more=job.more)

    def _after_batch(self, tx: Connection, job: Job, answer: Answer, wait: Wait) -> Move:
        """Settle each entry as if it had gone alone; what is most uncertain decides what is next.

        Once the EHR lets us in no more, the rest is left in doubt.
        """
        moves = []
        for send, said in zip(job.sends, bundle.answers(job.sends, answer.body or {}), strict=True):
            one = replace(job, step=Step.SINGLE, sends=(send,), together=True)
            its = classify(said, now=wait.now, asked=one.asked)
            moves.append(self.move(tx, one, said, its, wait))
            if its.kind is Kind.AUTH:
                break
        return decide.of_several(moves)

    # --- refusals -----------------------------------------------------------------------------

    def _after_refusal(self, tx: Connection, job: Job, answer: Answer, wait: Wait) -> Move:
        match decide.what_is_refused(answer):
            case Refused.SIZE:
                return self._after_size(tx, job, answer)
            case Refused.ACCESS:
                return self._after_forbidden(tx, job, answer, wait)
            case Refused.REQUEST:
                if answer.redirects:
                    log.get().error(
                        "ehr.redirects", destination=job.row.destination, status=answer.status
                    )
                return decide.parked(answer.reason)
        named = _named(job, answer)
        if named or job.together:
            return self._set_aside(tx, job, named or job.sends, answer)
        return decide.one_by_one(answer.reason)

    def _after_size(self, tx: Connection, job: Job, answer: Answer) -> Move:
        """Learn how large a Bundle may be; what is too large alone is set aside."""
        half = max(order.size_of(job.sends) // 2, 1)
        if job.together:
            # It was its size, so how many go together was learned wrongly.
            registry.note_size(
                tx, job.row.destination, most_entries=registry.MOST_ENTRIES, most_bytes=half
            )
            return self._set_aside(tx, job, job.sends, answer)
        most = max(len(job.sends) // 2, 1)
        registry.note_size(tx, job.row.destination, most_entries=most, most_bytes=half)
        return decide.again(f"the EHR {answer.reason}; at most {most} go in one request now")

    def _after_forbidden(self, tx: Connection, job: Job, answer: Answer, wait: Wait) -> Move:
        """Park the record; several patients in a row say that it is the access, not the record."""
        name = job.row.destination
        if registry.note_forbidden(tx, name, job.row.lane) < decide.MOST_FORBIDDEN:
            return decide.parked(answer.reason)
        registry.end_forbidden(tx, name)
        self._stop(tx, job, f"{registry.ACCESS_REFUSED}, for several patients: {answer.reason}")
        return decide.after_refusal(
            job.row,
            Answer(kind=Kind.AUTH, reason=answer.reason),
            now=wait.now,
            jitter=wait.jitter,
        )

    def _stop(self, tx: Connection, job: Job, why: str) -> None:
        """Stop the destination, not the record."""
        registry.pause(tx, job.row.destination, why)
        entry = Entry(
            actor="worker",
            action=Action.DESTINATION_PAUSED,
            destination=job.row.destination,
            detail={"reason": why},
        )
        self._audit.append(tx, entry)

    def _set_aside(
        self, tx: Connection, job: Job, refused: tuple[Send, ...], answer: Answer
    ) -> Move:
        """Note these resources as refused, each with its sentence; the rest goes on."""
        said = _places(job, answer)
        for send in refused:
            sentence = refusal.sentence(
                self._made(tx, send),
                said.get(send.position, NO_PLACE).path,
                answer.reason,
                together=len(refused) if job.together else 1,
            )
            self._settlement.note_item(
                tx, job.row.id, send.position, Became.REFUSED, reason=sentence
            )
        return decide.again("")

    def _made(self, tx: Connection, send: Send) -> refusal.Made:
        mapping = tx.scalar(select(resource.c.mapping).where(resource.c.id == send.resource))
        why = self._contents.why(tx, send.resource)
        return refusal.Made(type=send.identity.type, mapping=str(mapping), why=why)

    # --- read-back ----------------------------------------------------------------------------

    def _after_reading(self, tx: Connection, job: Job, answer: Answer, wait: Wait) -> Move:
        earlier = job.row.reason
        if answer.kind is not Kind.OK:
            if decide.what_is_refused(answer) is Refused.SIZE:
                known = registry.get(tx, job.row.destination)
                most = max(len(job.sends) // 2, 1)
                registry.note_size(tx, known.name, most_entries=most, most_bytes=known.most_bytes)
            return decide.still_unknown(job.row, answer, earlier, wait)
        found = readings(job.sends, answer.body or {})
        weak = registry.get(tx, job.row.destination).guard != ""
        move = decide.after_reading(job.row, found, earlier, wait, more=job.more, weak=weak)
        asks_again = move.to is State.UNKNOWN
        for reading in found:
            if not (asks_again and reading.found is Found.MISSING):
                self._note_reading(tx, job, reading, wait.now)
        if move.to is State.PARKED and job.alone:
            reason = f"{decide.first_reason(earlier)} each time"
            absent = tuple(one.send for one in found if one.found is not Found.OURS)
            return self._set_aside(tx, job, absent, Answer(kind=Kind.PERMANENT, reason=reason))
        return move

    def _note_reading(self, tx: Connection, job: Job, reading: Reading, now: datetime) -> None:
        if reading.found in (Found.UNREADABLE, Found.OTHER):
            return
        if reading.found is Found.OURS:
            arrived = [(reading.send, reading.ehr_id, reading.version)]
            self._save(tx, job, arrived, now, read_back=True)
            return
        if reading.found is Found.GONE and reading.ehr_id:
            self._note_removed(tx, job, reading, now)
            return
        if reading.known is not None:
            self._rebase(tx, job, reading, reading.known, now)
        gone = reading.found is Found.ABSENT and reading.send.retracts
        outcome = Became.UNCHANGED if gone else Became.WAITING
        self._settlement.note_item(tx, job.row.id, reading.send.position, outcome)

    # --- ledger -------------------------------------------------------------------------------

    def _save(
        self,
        tx: Connection,
        job: Job,
        arrived: Sequence[tuple[Send, str, str]],
        now: datetime,
        *,
        read_back: bool,
    ) -> None:
        """Note what arrived, under which id of the EHR's and as which version."""
        holdings = [
            ledger.Holding(
                identity=send.identity,
                held=send,
                ehr_id=ehr_id,
                version=version,
                sequence=job.row.sequence,
                read_back=read_back,
                decided=send.there.decided,
            )
            for send, ehr_id, version in arrived
        ]
        ledger.save(tx, job.row.destination, holdings, at=moment.to_text(now))
        became = {
            send.position: Became.CREATED if send.base == NOT_THERE else Became.UPDATED
            for send, _, _ in arrived
        }
        self._settlement.note_items(tx, job.row.id, became)

    def _note_removed(self, tx: Connection, job: Job, reading: Reading, now: datetime) -> None:
        """Note under which id it was: its removal is drift then, for a person to settle."""
        held = ledger.Holding(
            identity=reading.send.identity,
            held=reading.send,
            ehr_id=reading.ehr_id,
            version=reading.version,
            sequence=job.row.sequence,
            read_back=False,
            decided=reading.send.there.decided,
        )
        ledger.save(tx, job.row.destination, [held], at=moment.to_text(now))
        self._settlement.note_item(tx, job.row.id, reading.send.position, Became.WAITING)

    def _rebase(
        self, tx: Connection, job: Job, reading: Reading, known: Known, now: datetime
    ) -> None:
        """Note which of our earlier versions the EHR has: it guards the next update."""
        held = ledger.Holding(
            identity=reading.send.identity,
            held=known,
            ehr_id=reading.ehr_id,
            version=reading.version,
            sequence=known.sequence,
            read_back=True,
            decided=(known.there or reading.send.there).decided,
        )
        ledger.save(tx, job.row.destination, [held], at=moment.to_text(now))

    def _note_all(self, tx: Connection, job: Job, outcome: Became) -> None:
        became = {send.position: outcome for send in job.sends}
        self._settlement.note_items(tx, job.row.id, became)


def _was_there(job: Job, outcome: Outcome) -> bool:
    if job.step is not Step.SINGLE or not isinstance(outcome, Response):
        return False
    return bundle.was_there(job.sends[0], outcome)


def _landed(job: Job, outcome: Outcome, answer: Answer) -> tuple[Landed, ...] | None:
    if job.step is Step.BUNDLE:
        return bundle.landed(job.sends, answer.body or {})
    if not isinstance(outcome, Response):
        return None
    one = bundle.landed_alone(job.sends[0], outcome, answer.body)
    return None if one is None else (one,)


def _named(job: Job, answer: Answer) -> tuple[Send, ...]:
    """Return the resources that the EHR names, or none where one of its errors names none."""
    if job.step is not Step.BUNDLE:
        return ()
    entries = {place.entry for place in places(answer.body)}
    if not entries <= set(range(len(job.sends))):
        return ()
    return tuple(send for number, send in enumerate(job.sends) if number in entries)


def _places(job: Job, answer: Answer) -> dict[int, Place]:
    """Return, by position, the first thing that the EHR says of each resource."""
    found: dict[int, Place] = {}
    for place in places(answer.body):
        if job.step is Step.SINGLE or len(job.sends) == 1:
            found.setdefault(job.sends[0].position, place)
        elif place.entry is not None and place.entry < len(job.sends):
            found.setdefault(job.sends[place.entry].position, place)
    return found
