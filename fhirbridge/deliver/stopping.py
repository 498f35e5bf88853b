"""Stop and go, with the evidence: by an operator's word, or since an EHR is not what was probed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import ACCESS_REFUSED, SIGN_IN_REFUSED
from fhirbridge.ehr.probe import Tested
from fhirbridge.outbox import pauses
from fhirbridge.outbox.pauses import ANY, Stopped

CHANGED = "the server is not what was probed: run fhirbridge destination probe NAME"
BY_AN_ANSWER = (SIGN_IN_REFUSED, ACCESS_REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Whether anything was let go, and why nothing is sent all the same."""

    changed: bool
    still_paused: str = ""


def pause(tx: Connection, audit: EvidenceLog, what: Stopped, *, at: datetime, actor: str) -> bool:
    """Stop a destination, a patient or both. Raises DestinationError or UnknownPatientError."""
    _check(tx, what)
    changed = pauses.put(tx, what, at=at, actor=actor)
    if changed:
        _note(tx, audit, Action.DELIVERIES_PAUSED, what, actor)
    return changed


def resume(tx: Connection, audit: EvidenceLog, what: Stopped, *, actor: str) -> Resumed:
    """Take a pause back; of a whole destination also one that an answer of the EHR began.

    What a probe or a comparison must settle stays paused.
    """
    _check(tx, what)
    changed = pauses.lift(tx, what)
    still = ""
    if what.destination != ANY and what.patient == ANY:
        known = registry.get(tx, what.destination)
        still = known.paused
        if still.startswith(BY_AN_ANSWER):
            registry.pause(tx, known.name, "")
            entry = Entry(actor=actor, action=Action.DESTINATION_RESUMED, destination=known.name)
            audit.append(tx, entry)
            changed, still = True, ""
    if changed:
        _note(tx, audit, Action.DELIVERIES_RESUMED, what, actor)
    return Resumed(changed=changed, still_paused=still)


def note_test(tx: Connection, audit: EvidenceLog, name: str, tested: Tested, *, actor: str) -> None:
    """Note how a destination was found; pause one that is not what was probed."""
    entry = Entry(
        actor=actor,
        action=Action.DESTINATION_TESTED,
        outcome="ok" if tested.good else "wrong",
        destination=name,
        detail={
            "answers": tested.answers,
            "signed_in": tested.signed_in,
            "unchanged": tested.unchanged,
        },
    )
    audit.append(tx, entry)
    if tested.unchanged is False and not registry.get(tx, name).paused:
        registry.pause(tx, name, CHANGED)
        why = {"reason": CHANGED}
        audit.append(
            tx, Entry(actor=actor, action=Action.DESTINATION_PAUSED, destination=name, detail=why)
        )


def _check(tx: Connection, what: Stopped) -> None:
    if what.destination != ANY:
        registry.get(tx, what.destination)


def _note(tx: Connection, audit: EvidenceLog, action: Action, what: Stopped, actor: str) -> None:
    detail = {"patient": what.patient}
    entry = Entry(actor=actor, action=action, destination=what.destination, detail=detail)
    audit.append(tx, entry)
