"""What the answer to "who is this patient?" means for its delivery, and for all that waited for it.

Everything happens in the transaction that it is given; the caller holds the lane's fence.
"""

from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import Connection, Row

from fhirbridge.deliver import decide, ledger
from fhirbridge.deliver.answer import Answer, Kind
from fhirbridge.deliver.decide import Wait
from fhirbridge.destinations import registry
from fhirbridge.matching import guard, kept, sight
from fhirbridge.matching.asking import Question
from fhirbridge.matching.links import Links
from fhirbridge.outbox import stuck
from fhirbridge.outbox.contents import Identity
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import PATIENT, State

# The run stays counted: a delivery that only ever asks would be found out.
ASKED = Move(to=State.PENDING)


class Asked(Protocol):
    """What is needed of a job: whose it is, and what was asked."""

    @property
    def row(self) -> Row[Any]: ...
    @property
    def question(self) -> Question | None: ...


class Identify:
    """Links patients, or holds their deliveries."""

    def __init__(self, *, links: Links, settlement: Settlement) -> None:
        self._links = links
        self._settlement = settlement

    def move(self, tx: Connection, job: Asked, answer: Answer, wait: Wait) -> Move:
        """Say where the delivery goes; where the EHR said nothing, it is asked again later."""
        if answer.kind is Kind.PERMANENT:
            return _held(f"{PATIENT}the EHR refused to be asked who this is: {answer.reason}")
        if answer.kind is not Kind.OK:
            # Nothing was written, so that whatever came may be asked for again.
            kind = Kind.AUTH if answer.kind is Kind.AUTH else Kind.RETRY
            later = replace(answer, kind=kind, counted=False)
            return decide.after_refusal(job.row, later, now=wait.now, jitter=wait.jitter)
        destination = registry.get(tx, job.row.destination)
        if self._links.question(tx, destination, job.row) != job.question:
            return ASKED  # meanwhile a person decided, or our Patient changed
        link = self._links.settle(tx, destination, job.row, sight.read(answer.body or {}))
        if link.state == kept.State.HELD:
            return _held(guard.held_for(link.why.split()))
        note_linked(tx, link)
        release_linked(tx, self._settlement, link)
        return ASKED


def _held(reason: str) -> Move:
    return Move(to=State.HELD, reason=reason, counts={"runs": 0})


def note_linked(tx: Connection, link: Row[Any]) -> None:
    """Let the ledger say under which id the EHR has this patient; ours is never written there."""
    ledger.note_theirs(
        tx,
        destination=link.destination,
        identity=Identity("Patient", link.subject),
        ehr_id=link.ehr_id,
        compared=kept.compared(tx, link),
        at=link.at,
    )


def release_linked(tx: Connection, settlement: Settlement, link: Row[Any]) -> None:
    """Put back what waited for this link; of one for a single record, no other record's visit.

    That would be held again, and what the link is for after it, round and round.
    """
    chosen = Selection(destination=link.destination, patient=link.lane, reason=PATIENT)
    ids = [
        row.id
        for row in stuck.find(tx, chosen, (State.HELD,))
        if not (link.only_for and guard.is_of_a_visit(row.reason))
    ]
    stuck.put_back(tx, settlement, ids, actor=kept.ACTOR)


def release(
    tx: Connection, settlement: Settlement, destination: str, lane: str, *, actor: str
) -> int:
    """Put back what was held until somebody knew whose chart it belongs in; return how many."""
    chosen = Selection(destination=destination, patient=lane, reason=PATIENT)
    ids = [row.id for row in stuck.find(tx, chosen, (State.HELD,))]
    return stuck.put_back(tx, settlement, ids, actor=actor)
