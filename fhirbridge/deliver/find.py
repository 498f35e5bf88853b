"""What the answer to "which of yours is this?" means for its delivery.

Nothing is held for it: what is not certain is left out, and the delivery goes.
"""

from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import Connection, Row

from fhirbridge.deliver import decide
from fhirbridge.deliver.answer import Answer, Kind
from fhirbridge.deliver.decide import Wait
from fhirbridge.matching.theirs import asking
from fhirbridge.matching.theirs.decide import Shown, Wanted
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox.settle import Move
from fhirbridge.outbox.states import State

REFUSED = Shown(refused=True)


class Asked(Protocol):
    """What is needed of a job: whose it is, and what was asked."""

    @property
    def row(self) -> Row[Any]: ...
    @property
    def wanted(self) -> tuple[Wanted, ...]: ...


class Find:
    """Links what the EHR has itself, or leaves it out."""

    def __init__(self, theirs: TheirLinks) -> None:
        self._theirs = theirs

    def move(self, tx: Connection, job: Asked, answer: Answer, wait: Wait) -> Move:
        """Say where the delivery goes; where the EHR said nothing, it is asked again later."""
        if answer.kind not in (Kind.OK, Kind.PERMANENT):
            # Nothing was written, so that whatever came may be asked for again.
            kind = Kind.AUTH if answer.kind is Kind.AUTH else Kind.RETRY
            later = replace(answer, kind=kind, counted=False)
            return decide.after_refusal(job.row, later, now=wait.now, jitter=wait.jitter)
        refused = answer.kind is Kind.PERMANENT
        shown = [REFUSED] * len(job.wanted) if refused else asking.read(answer.body or {})
        news = [
            self._theirs.settle(tx, job.row.destination, wanted, one)
            for wanted, one in zip(job.wanted, shown, strict=True)
        ]
        # A run that decided something led on; one that only asks again and again is found out.
        return Move(to=State.PENDING, counts={"runs": 0} if any(news) else {})
