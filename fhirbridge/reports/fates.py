"""What became of one resource version, or of a whole record version, at one destination. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fhirbridge.outbox.contents import OUTDATED, RETRACTION, STATEMENTS, WITHDRAWN
from fhirbridge.outbox.states import LANDED, NOT_AS_ITSELF, OPEN, Became, State


class Fate(StrEnum):
    """Where one thing that was owed has gone. Each has exactly one."""

    SENT = "sent"  # the EHR had it, in this version or since in a newer one
    RETRACTED = "retracted"  # the EHR was told that it does not hold, or never had it
    WAITING = "waiting"  # for its turn, or for an answer
    HELD = "held"  # for a person
    PARKED = "parked"  # refused, or set aside: one command sends it again
    WITHHELD = "withheld"  # no consent, or the record holds an element of it back
    LOST = "lost"  # the EHR had it and went back: what still counts of it was sent again
    SKIPPED = "skipped"  # the destination does not take it as itself: carried, or a task
    THEIRS = "theirs"  # somebody left it as the EHR has it
    REPLACED = "replaced"  # something newer says it, or another translation
    NOTHING = "nothing"  # there is nothing to send
    NOT_OWED = "not-owed"  # it is no destination any more, or there was none
    UNEXPLAINED = "unexplained"  # a fault: nothing says where it went


CONSENT = "consent: "
BY_ITEM = {
    Became.UNCHANGED: Fate.SENT,
    Became.SUPERSEDED: Fate.REPLACED,
    Became.REFUSED: Fate.PARKED,
    Became.BLOCKED: Fate.PARKED,
    Became.THEIRS: Fate.THEIRS,
    Became.BY_HAND: Fate.SKIPPED,
    **dict.fromkeys(LANDED, Fate.SENT),
    **dict.fromkeys(NOT_AS_ITSELF, Fate.SKIPPED),
}
BY_STATE = {
    **dict.fromkeys(OPEN, Fate.WAITING),
    State.HELD: Fate.HELD,
    State.PARKED: Fate.PARKED,
    State.SUPERSEDED: Fate.REPLACED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One delivery that carried it; with `outcome` None the delivery carries nothing at all."""

    delivery: str
    sequence: int
    state: str
    reason: str
    outcome: str | None
    why: str = ""  # of the outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that decides one line."""

    purpose: str  # "" for a whole record version of which nothing was made
    record_state: str
    in_error: bool
    taken_back: bool
    carried: Sequence[Carried] = ()
    alike: Sequence[Carried] = ()  # what carried the same content by another version's word
    newer: bool = False  # another version's word counts
    in_ledger: bool = False
    was_lost: bool = False  # it was found that the EHR has it no more
    removed: bool = False  # the destination


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A fate, why, and the delivery that says so, or ""."""

    fate: Fate
    reason: str = ""
    delivery: str = ""


def judge(case: Case) -> Verdict:
    """Say what became of it."""
    if case.carried:
        return _of_carried(case, case.carried)
    if case.purpose == OUTDATED:
        return Verdict(fate=Fate.REPLACED, reason="its record was translated again")
    if case.purpose == WITHDRAWN:
        return Verdict(fate=Fate.NOTHING, reason="it says that what visits share does not hold")
    if case.alike:
        found = _of_carried(case, case.alike)
        said = "another version said the same"
        reason = f"{said}: {found.reason}" if found.reason else said
        return Verdict(fate=found.fate, reason=reason, delivery=found.delivery)
    return _never_carried(case)


def _of_carried(case: Case, carried: Sequence[Carried]) -> Verdict:
    """Judge by the last delivery that was not given up, else by what landed, else the last."""
    ordered = sorted(carried, key=lambda one: one.sequence)
    standing = [one for one in ordered if one.state != State.SUPERSEDED]
    landed = [one for one in ordered if one.outcome in LANDED]
    last = (standing or landed or ordered)[-1]
    fate = _fate(last)
    if fate in (Fate.HELD, Fate.WAITING) and last.reason.startswith(CONSENT):
        fate = Fate.WITHHELD
    if fate is Fate.SENT and case.purpose == RETRACTION:
        return Verdict(fate=Fate.RETRACTED, reason=last.why, delivery=last.delivery)
    if fate is Fate.SENT and not (case.in_ledger or case.removed):
        if case.was_lost:
            said = "the EHR lost it; what still counts of it was sent again"
            return Verdict(fate=Fate.LOST, reason=said, delivery=last.delivery)
        said = "it was delivered, and the ledger does not know it"
        return Verdict(fate=Fate.UNEXPLAINED, reason=said, delivery=last.delivery)
    # What landed of a delivery that waits for a person does not wait for him.
    reason = last.why if fate is Fate.SENT else last.why or last.reason
    return Verdict(fate=fate, reason=reason, delivery=last.delivery)


def _fate(one: Carried) -> Fate:
    if one.outcome is None:
        whole = Fate.NOTHING if one.state == State.DELIVERED else None
        return whole or BY_STATE.get(State(one.state), Fate.UNEXPLAINED)
    by_item = BY_ITEM.get(Became(one.outcome))
    if by_item is not None:
        return by_item
    return BY_STATE.get(State(one.state), Fate.UNEXPLAINED)


def _never_carried(case: Case) -> Verdict:
    if case.removed:
        return Verdict(fate=Fate.NOT_OWED, reason="the destination was removed")
    if case.taken_back:
        return Verdict(fate=Fate.REPLACED, reason="taken back from the chart")
    if case.newer or case.record_state != "current":
        return Verdict(fate=Fate.REPLACED, reason="a newer version says it, or that it is none")
    if case.purpose in STATEMENTS and case.purpose != STATEMENTS[0]:
        return Verdict(fate=Fate.WITHHELD, reason="the record holds an element of it back")
    if case.in_error:
        return Verdict(fate=Fate.NOTHING, reason="its session was entered in error")
    return Verdict(fate=Fate.UNEXPLAINED, reason="nothing was owed and nothing says why")
