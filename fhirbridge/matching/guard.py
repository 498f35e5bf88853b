"""The wrong-patient guard: whether a request of a patient may go, asked before each of them.

A link is relied on while it is no older than `FRESH_FOR` and was made of our Patient as it is now.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row

from fhirbridge.destinations.registry import Destination, Policy
from fhirbridge.matching import decide, kept
from fhirbridge.matching.decide import Why
from fhirbridge.matching.kept import State
from fhirbridge.outbox.contents import Identity
from fhirbridge.outbox.states import PATIENT
from fhirbridge.store import moment

FRESH_FOR = timedelta(minutes=10)


class Next(StrEnum):
    """What may be done for a patient now."""

    GO = "go"
    ASK = "ask"  # the EHR, who it is or whether that is still so
    HOLD = "hold"


class Guard(NamedTuple):
    """Whether a request of a patient may go: by which `link`, "" for a Patient of ours."""

    next: Next
    link: str = ""
    reason: str = ""


def guard(tx: Connection, destination: Destination, delivery: Row[Any], *, now: datetime) -> Guard:
    """Say whether something of the patient of this delivery may go."""
    link = kept.current(tx, destination.name, delivery.lane)
    if link is None:
        ours = destination.patients.policy is Policy.OURS
        return Guard(Next.GO) if ours else Guard(Next.ASK)
    if link.state == State.MADE:
        return Guard(Next.GO, link.id)
    held = link.state == State.HELD
    meant = link.only_for in ("", delivery.record_id)
    if held and (link.why == Why.BY_HAND or (meant and link.checked_at > delivery.changed_at)):
        return Guard(Next.HOLD, reason=held_for(link.why.split()))
    if held or not meant or _is_old(link, now) or not _is_compared(tx, destination, link):
        return Guard(Next.ASK)
    return Guard(Next.GO, link.id)


def way_back(tx: Connection, delivery: Row[Any], taken_back: Sequence[Identity]) -> Guard | None:
    """Let what only takes back go into the chart to which it went, or None where that is not sure.

    Where a person said since that the chart is another one's, or may be: what was written there by
    mistake must not stay there until somebody knows whose it is.
    """
    now = kept.current(tx, delivery.destination, delivery.lane)
    if now is None or now.state != State.HELD or now.why != Why.BY_HAND or not taken_back:
        return None
    went_by = {kept.link_of(tx, delivery.destination, delivery.lane, one) for one in taken_back}
    (by, *others) = went_by
    if others or not by or kept.of_id(tx, by).state != State.LINKED:
        return None
    return Guard(Next.GO, by)


def held_for(why: Sequence[str]) -> str:
    """Say why a delivery waits, as its reason."""
    return f"{PATIENT}{decide.sentence(why)}; see fhirbridge patient list"


def is_of_a_visit(reason: str) -> bool:
    """Say whether a delivery waits for what is true of its own visit alone."""
    return any(decide.WORDS[one] in reason for one in decide.OF_A_VISIT)


def _is_old(link: Row[Any], now: datetime) -> bool:
    return bool(abs(now - moment.from_text(link.checked_at)) > FRESH_FOR)


def _is_compared(tx: Connection, destination: Destination, link: Row[Any]) -> bool:
    """Say whether our Patient is the one that was compared."""
    row = kept.our_patient(tx, destination, link.lane, link.subject)
    return row is not None and bool(row.digest == link.compared)
