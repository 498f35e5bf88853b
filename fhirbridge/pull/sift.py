"""Which entries of an EHR's answer are what was asked for, of the patient who was meant. Pure.

An EHR is not trusted: what does not fit is left out and counted; where it shows somebody else's,
nothing of that answer is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fhirbridge.fhir import codec, outcome
from fhirbridge.fhir.references import LITERAL, is_id

LARGEST = 100_000  # bytes of one resource without its narrative
PATIENT = "Patient"
# By which search parameter, and by which element, each type names its patient.
BY = {"AllergyIntolerance": "patient"}
SUBJECT = "subject"


class Left(StrEnum):
    """Why an entry was left out; the values are stored."""

    NOT_ASKED_FOR = "not-asked-for"  # another type, or what a search included
    NO_ID = "no-id"
    TOO_LARGE = "too-large"
    WHOSE = "whose-is-not-certain"


@dataclass(slots=True, kw_only=True)
class Sifted:
    """What came of an answer's entries, page after page."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)  # by the EHR's id
    left_out: dict[str, int] = field(default_factory=dict)
    foreign: bool = False  # something of another patient was in it
    issues: tuple[str, ...] = ()  # of errors that the server told inside of its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Resources of one type, of the EHR's patient `ehr_id`, from the server at `base_url`."""

    type: str
    ehr_id: str
    base_url: str

    @property
    def criteria(self) -> dict[str, str]:
        """Return what a search asks for."""
        return {"_id": self.ehr_id} if self.type == PATIENT else {"patient": self.ehr_id}


def sift(wanted: Wanted, entries: Sequence[Any], into: Sifted) -> None:
    """Add the entries of one page to what is known of those before."""
    for entry in entries:
        body = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(body, dict):
            _leave(into, Left.NOT_ASKED_FOR)
        elif body.get("resourceType") == "OperationOutcome":
            into.issues += outcome.issue_codes(body)
        else:
            _judge(wanted, {name: body[name] for name in body if name != "text"}, into)


def _judge(wanted: Wanted, body: dict[str, Any], into: Sifted) -> None:
    own = body.get("id")
    if body.get("resourceType") != wanted.type:
        _leave(into, Left.NOT_ASKED_FOR)
    elif not isinstance(own, str) or not is_id(own):
        _leave(into, Left.NO_ID)
    elif (whose := _patient_of(wanted, body)) == "":
        _leave(into, Left.WHOSE)
    elif whose != wanted.ehr_id:
        into.foreign = True
    elif len(codec.encode(body)) > LARGEST:
        _leave(into, Left.TOO_LARGE)
    else:
        into.resources[own] = body


def _patient_of(wanted: Wanted, body: Mapping[str, Any]) -> str:
    """Return the id of the EHR's Patient whose this is, or "" where that is not certain."""
    if wanted.type == PATIENT:
        return str(body["id"])
    subject = body.get(BY.get(wanted.type, SUBJECT))
    said = subject.get("reference") if isinstance(subject, dict) else None
    if not isinstance(said, str):
        return ""
    local = said.removeprefix(f"{wanted.base_url}/")
    if local.startswith(("http://", "https://")):
        return ""  # a patient of another server
    named = LITERAL.fullmatch(local)
    return named[2] if named is not None and named[1] == PATIENT else ""


def _leave(into: Sifted, why: Left) -> None:
    into.left_out[why.value] = into.left_out.get(why.value, 0) + 1
