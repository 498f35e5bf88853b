"""Whether something in an EHR is what a record means, for certain. Pure.

A table of the clinic, or a search by number, says where to look. Of what belongs to a patient the
subject must then be that patient, and an Encounter must have been on that day.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from fhirbridge.destinations.theirs import OF_A_PATIENT
from fhirbridge.fhir.references import literal
from fhirbridge.matching import person
from fhirbridge.matching.person import Token

NO_USE: Mapping[str, frozenset[str]] = {
    "Encounter": frozenset({"entered-in-error", "cancelled"}),
    "MedicationRequest": frozenset({"entered-in-error", "draft"}),
    "Location": frozenset({"inactive"}),
}
NO_ORDER = frozenset({"proposal", "plan", "option"})  # intents of what nobody ordered yet
# Only of these an end that is not there means that they still last.
LASTING = frozenset({"arrived", "triaged", "in-progress", "onleave"})


class How(StrEnum):
    """By what it was found."""

    CROSSWALK = "crosswalk"  # a table that the clinic loaded
    IDENTIFIER = "identifier"  # a search by the number that both know
    PERSON = "person"


class Why(StrEnum):
    """Why it is left out; the values are stored and never change their meaning."""

    NO_NUMBER = "no-number"
    NO_WAY = "no-way"
    NO_PATIENT = "no-patient"
    TABLES = "tables"
    NONE = "none"
    SEVERAL = "several"
    GONE = "gone"
    OTHER_PATIENT = "other-patient"
    OTHER_DAY = "other-day"
    STATUS = "status"
    NUMBER = "number"
    NAME = "name"
    REFUSED = "refused"
    BY_HAND = "by-hand"


WORDS = {
    Why.NO_NUMBER: "the record names no number of the EHR's for it",
    Why.NO_WAY: "no table has it, and no system of numbers is set to search by",
    Why.NO_PATIENT: "the EHR has no chart of this patient yet",
    Why.TABLES: "the tables name two different ones",
    Why.NONE: "the EHR shows none of this number",
    Why.SEVERAL: "the EHR shows several of this number",
    Why.GONE: "the EHR has nothing under the id that the table or an earlier search named",
    Why.OTHER_PATIENT: "WRONG PATIENT: what the EHR shows is not this patient's",
    Why.OTHER_DAY: "what the EHR shows was not on the day of the visit",
    Why.STATUS: "the EHR has it in error, cancelled or out of use",
    Why.NUMBER: "what the EHR shows does not bear the number",
    Why.NAME: "the family names differ, or one is missing",
    Why.REFUSED: "the EHR refused to be asked",
    Why.BY_HAND: "a person took the link back",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One thing that the EHR may have itself: how to find it, and what must be true of it."""

    type: str
    subject: str  # our id, or the keyed name of a number
    lane: str
    record_id: str
    named: tuple[str, ...] = ()  # ids there, by tables
    number: str = ""  # by which ours names it, where it does so by a number of the EHR's
    numbered: bool = False  # the record has a number or a word for it
    token: Token | None = None  # to search by
    known: str = ""  # the id there by which it is linked now
    patients: frozenset[str] = frozenset()  # ids there of the patient's chart
    visit: str = ""  # when it began, of an Encounter
    families: frozenset[str] = frozenset()  # of a clinician
    words: str = ""
    compared: str = ""

    @property
    def reference(self) -> str:
        """Return what is read, as `Type/id`, or "" where it is searched or not asked for."""
        if self.unasked is not None:
            return ""
        own = self.named[0] if self.named else self.known
        return f"{self.type}/{own}" if own else ""

    @property
    def how(self) -> How:
        """Say by what it would be found."""
        return How.CROSSWALK if self.named else How.IDENTIFIER

    @property
    def unasked(self) -> Why | None:
        """Say why the EHR is not even asked; None: it is."""
        if len(self.named) > 1:
            return Why.TABLES
        if not self.named and self.token is None:
            return Why.NO_WAY if self.numbered else Why.NO_NUMBER
        of_nobody = self.type in OF_A_PATIENT and not self.patients
        return Why.NO_PATIENT if of_nobody else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What an EHR showed when it was asked for one of them."""

    bodies: tuple[dict[str, Any], ...] = ()
    more: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The id there, or why it is left out."""

    ehr_id: str = ""
    how: str = ""
    why: tuple[Why, ...] = field(default=())


def sentence(why: Sequence[str]) -> str:
    """Say in words, without a patient's value, why it is left out."""
    return "; ".join(WORDS[Why(one)] for one in why)


def choose(wanted: Wanted, shown: Shown) -> Verdict:
    """Decide by what the EHR showed."""
    if (unasked := wanted.unasked) is not None:
        return Verdict(why=(unasked,))
    if shown.refused:
        return Verdict(why=(Why.REFUSED,))
    if shown.more or len(shown.bodies) > 1:
        return Verdict(why=(Why.SEVERAL,))
    if not shown.bodies:
        return Verdict(why=(Why.GONE if wanted.reference else Why.NONE,))
    (body,) = shown.bodies
    why = disagreements(wanted, body)
    return Verdict(why=why) if why else Verdict(ehr_id=str(body["id"]), how=wanted.how.value)


def disagreements(wanted: Wanted, body: Mapping[str, Any]) -> tuple[Why, ...]:
    """Return all that speaks against this being what is meant."""
    why = []
    if wanted.how is How.IDENTIFIER and wanted.token not in person.read(body).identifiers:
        why.append(Why.NUMBER)
    if wanted.type in OF_A_PATIENT and not _is_of(wanted, body):
        why.append(Why.OTHER_PATIENT)
    if wanted.type == "Encounter" and not was_then(body, wanted.visit):
        why.append(Why.OTHER_DAY)
    if _no_use(wanted.type, body):
        why.append(Why.STATUS)
    by_number = wanted.type == "Practitioner" and wanted.how is How.IDENTIFIER
    if by_number and person.read(body).families.isdisjoint(wanted.families):
        why.append(Why.NAME)
    return tuple(why)


def _is_of(wanted: Wanted, body: Mapping[str, Any]) -> bool:
    """Say whether it is this patient's."""
    named = _local(body.get("subject"))
    return named is not None and named[0] == "Patient" and named[1] in wanted.patients


def _local(reference: Any) -> tuple[str, str] | None:
    """Return what a reference within the EHR names; one to another server names nothing."""
    if not isinstance(reference, dict) or "://" in str(reference.get("reference", "")):
        return None
    return literal(reference)


def _no_use(kind: str, body: Mapping[str, Any]) -> bool:
    if body.get("active") is False or body.get("status") in NO_USE.get(kind, ()):
        return True
    return kind == "MedicationRequest" and body.get("intent") in NO_ORDER


def was_then(encounter: Mapping[str, Any], visit: str) -> bool:
    """Say whether an Encounter began on the day of a visit, or before it and still lasted then.

    The day is that of the visit's own offset. What has no begin was at no time.
    """
    at, period = _moment(visit), encounter.get("period")
    if at is None or not isinstance(period, dict):
        return False
    day, begin = visit[:10], _day(period.get("start"), at)
    if begin is None or begin > day:
        return False
    if begin == day:
        return True
    if "end" not in period:
        return encounter.get("status") in LASTING
    if (end := _moment(period["end"])) is not None:
        return end >= at
    last = _day(period["end"], at)
    return last is not None and last >= day


def _day(text: Any, beside: datetime) -> str | None:
    """Return the day of a time by the offset of another one, or of a full date; else None."""
    if (moment := _moment(text)) is not None:
        return moment.astimezone(beside.tzinfo).date().isoformat()
    return person.full_date(text) or None


def _moment(text: Any) -> datetime | None:
    if not isinstance(text, str) or "T" not in text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
