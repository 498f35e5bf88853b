"""Which of an EHR's patients may be asked about: for certain this one, and who agreed."""

from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, select

from fhirbridge.consent import state as consent
from fhirbridge.deliver import ledger
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination, Policy
from fhirbridge.matching import kept
from fhirbridge.matching.kept import State
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile import findings
from fhirbridge.reconcile.compare import Kind
from fhirbridge.store.tables import record


class Why(StrEnum):
    """Why nothing is asked; the values never change their meaning."""

    NOT_CHOSEN = "not-chosen"
    STOPPED = "stopped"
    NO_RECORD = "no-record"
    NO_CONSENT = "no-consent"
    HELD = "held"
    UNLINKED = "unlinked"
    ONE_VISIT = "one-visit"
    NOT_THERE = "not-there"
    MERGED = "merged"
    GONE = "gone"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    DECIDED = "decided-meanwhile"


WORDS = {
    Why.NOT_CHOSEN: "nothing is to be asked there: fhirbridge destination set NAME --pull",
    Why.STOPPED: "nothing goes there now: fhirbridge sync status",
    Why.NO_RECORD: "no record of this patient counts: all were taken back",
    Why.NO_CONSENT: "the patient did not agree",
    Why.HELD: "a person must say who this is there: fhirbridge patient list",
    Why.UNLINKED: "it is not known yet which of the EHR's patients this is",
    Why.ONE_VISIT: "the EHR's patient is dead or out of use; the link is for one visit only",
    Why.NOT_THERE: "the EHR has no chart of this patient yet",
    Why.MERGED: "the EHR merged this patient or put it out of use: fhirbridge drift list",
    Why.GONE: "the EHR shows no such patient, or one who is out of use",
    Why.REFUSED: "the EHR does not let us read its Patient: fhirbridge destination test",
    Why.UNANSWERED: "the EHR did not say who this is; it is asked again",
    Why.DECIDED: "meanwhile it was decided anew who this is, or that it is not to be asked",
}


class Chart(NamedTuple):
    """The EHR's Patient who may be asked about, or why nobody may be."""

    ehr_id: str = ""
    linked: bool = False  # the EHR's own patient, not one that we made
    why: Why | None = None


def of(tx: Connection, where: Destination, lane: str) -> Chart:
    """Return in which chart of an EHR a patient of ours is, for certain."""
    link = kept.current(tx, where.name, lane)
    if link is not None and link.state == State.HELD:
        return Chart(why=Why.HELD)
    if link is not None and link.state == State.LINKED:
        return Chart(why=Why.ONE_VISIT) if link.only_for else Chart(link.ehr_id, linked=True)
    if link is None and where.patients.policy is Policy.MATCH:
        return Chart(why=Why.UNLINKED)
    subjects = select(record.c.subject).where(record.c.patient_key == lane, record.c.subject != "")
    ours = Identity("Patient", tx.scalar(subjects.limit(1)) or "")
    line = ledger.find(tx, where.name, ours)
    if line is None or not line.ehr_version or not line.ehr_id:
        return Chart(why=Why.NOT_THERE)
    if ours in findings.open_identities(tx, where.name, Kind.MERGED):
        return Chart(why=Why.MERGED)
    return Chart(line.ehr_id)


def may_be_asked(tx: Connection, where: Destination, lane: str) -> Chart:
    """Return the chart to ask about, where requests may go and the patient agreed."""
    if not where.pull:
        return Chart(why=Why.NOT_CHOSEN)
    if where.paused or where.mode is Mode.UNPROVEN or pauses.is_put(tx, where.name, lane):
        return Chart(why=Why.STOPPED)
    counting = select(record.c.labels).where(
        record.c.patient_key == lane,
        record.c.state == "current",
        record.c.in_error.is_(False),
        record.c.retracted == "",
    )
    labels = tx.scalars(counting).all()
    if not labels:
        return Chart(why=Why.NO_RECORD)
    need = consent.Need(
        destination=where.name,
        sharing_required=where.requires_consent,
        part_2=any(consent.PART_2 in one.split() for one in labels),
    )
    if consent.refusal(tx, lane, need):
        return Chart(why=Why.NO_CONSENT)
    return of(tx, where, lane)


def is_known(tx: Connection, lane: str) -> bool:
    """Say whether any record is of this patient."""
    chosen = select(record.c.id).where(record.c.patient_key == lane, record.c.patient_key != "")
    return tx.execute(chosen.limit(1)).first() is not None
