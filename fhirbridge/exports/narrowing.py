"""What narrows a Bulk Data export beyond types and times: charts, searches, elements. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from fhirbridge.facade import matching, query
from fhirbridge.facade.errors import FacadeError, NotServedError, NotSupportedError
from fhirbridge.facade.parameters import TYPES
from fhirbridge.facade.query import MOST_PAIRS, Query
from fhirbridge.facade.search import Found
from fhirbridge.fhir.references import is_id

MOST_PATIENTS = 1000
MOST_FILTERS = 100
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
EVERYWHERE = ("resourceType", "id", "meta", "implicitRules", "contained", "modifierExtension")
CHOICES = (
    "abatement", "deceased", "effective", "medication", "multipleBirth", "occurred", "onset",
    "performed", "value",
)  # fmt: skip
# What R4 demands of each type, and what changes the meaning of all else (its modifiers): an
# infusion whose status is left out would read as one that was given.
KEPT: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "AdverseEvent": ("actuality", "subject"),
    "Appointment": ("participant", "status"),
    "CarePlan": ("intent", "status", "subject"),
    "Condition": ("clinicalStatus", "subject", "verificationStatus"),
    "Consent": ("category", "provision", "scope", "status"),
    "DocumentReference": ("content", "relatesTo", "status"),
    "Encounter": ("class", "status"),
    "Goal": ("description", "lifecycleStatus", "subject"),
    "Location": ("mode", "status"),
    "MedicationAdministration": ("effective", "medication", "status", "subject"),
    "MedicationRequest": ("doNotPerform", "intent", "medication", "status", "subject"),
    "MedicationStatement": ("medication", "status", "subject"),
    "Observation": ("code", "status"),
    "Organization": ("active",),
    "Patient": ("active", "deceased", "link"),
    "Practitioner": ("active",),
    "PractitionerRole": ("active",),
    "Procedure": ("status", "subject"),
    "Provenance": ("agent", "recorded", "target"),
})  # fmt: skip
_ELEMENT = re.compile(r"(?:([A-Z][A-Za-z]{1,39})\.)?([a-z][A-Za-z]{1,59})", re.ASCII)
_BETWEEN_FILTERS = re.compile(r",(?=[A-Za-z]+\?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """As it was asked; each field that is empty lets all pass."""

    patients: tuple[str, ...] = ()  # ids
    filters: tuple[str, ...] = ()  # `Type?search`
    elements: tuple[str, ...] = ()  # `element` or `Type.element`


def patient(value: str) -> str:
    """Read a reference to a patient; return the id. Raises FacadeError."""
    kind, own = matching.split_reference(value)
    if kind != "Patient" or not is_id(own):
        raise FacadeError("patient is no reference to a Patient", hint="write it as Patient/ID")
    return own


def filters(value: str) -> list[str]:
    """Part `Type?search,Type?search`, and check each. Raises FacadeError, NotSupportedError."""
    found = _BETWEEN_FILTERS.split(value)
    for one in found:
        _searched(one)
    return found


def elements(value: str) -> list[str]:
    """Part names of elements, and check each. Raises FacadeError."""
    found = [one for one in value.split(",") if one]
    for one in found:
        named = _ELEMENT.fullmatch(one)
        if named is None or named[1] not in (None, *TYPES):
            raise FacadeError(
                "_elements names something that is no element",
                hint="write them as status,Patient.name: no more than what a resource begins with",
            )
    if not found:
        raise FacadeError("_elements names no element")
    return found


def kind_of(text: str) -> str:
    """Return the type of a filter."""
    return text.partition("?")[0]


def _searched(text: str) -> Query:
    kind, mark, rest = text.partition("?")
    try:
        pairs = parse_qsl(
            rest, keep_blank_values=True, errors="strict", max_num_fields=MOST_PAIRS + 1
        )
    except (UnicodeError, ValueError):
        pairs = []
    if not mark or not pairs:
        raise FacadeError(
            "_typeFilter holds no search", hint="write it as Observation?code=8867-4, encoded"
        )
    try:
        found = query.search(kind, pairs, strict=True)
    except NotServedError:
        raise NotSupportedError(
            "_typeFilter is of a type that is not exported", hint="GET metadata names the types"
        ) from None
    known = {"_id", "_lastUpdated", *(one.name + one.modifier for one in found.criteria)}
    if not known.issuperset(found.names):
        raise NotSupportedError(
            "_typeFilter says how a search is answered, which means nothing here",
            hint="leave out parameters such as _include and _count",
        )
    return found


@dataclass(slots=True)
class Sieve:
    """Lets pass what is asked for, as far as it is asked for."""

    narrowed: Narrowed
    _searches: dict[str, list[Query]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the filters again: they were checked when they came."""
        for text in self.narrowed.filters:
            self._searches.setdefault(kind_of(text), []).append(_searched(text))

    def opens(self, kind: str) -> bool:
        """Say whether a resource of this type must be opened to know whether it passes."""
        return kind in self._searches

    def lets(self, found: Found) -> bool:
        """Say whether it meets one of the searches of its type, or its type has none."""
        searches = self._searches.get(found.version.identity.type)
        return searches is None or any(_meets(found, one) for one in searches)

    def shown(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a resource with no more than what is asked for and what R4 demands."""
        kind = body["resourceType"]
        named = [one.rpartition(".") for one in self.narrowed.elements]
        wanted = {name for of, _, name in named if of in ("", kind)}
        if not wanted:
            return body
        kept = {*EVERYWHERE, *KEPT[kind], *wanted}
        meta = {**body["meta"], "tag": [*body["meta"].get("tag", []), SUBSETTED]}
        return {name: value for name, value in body.items() if _is_in(name, kept)} | {"meta": meta}


def _is_in(name: str, kept: Iterable[str]) -> bool:
    bare = name.removeprefix("_")
    return bare in kept or any(
        one in kept and bare.startswith(one) and bare[len(one)].isupper()
        for one in CHOICES
        if len(bare) > len(one)
    )


def _meets(found: Found, asked: Query) -> bool:
    at = found.version.at
    return (
        (asked.own is None or found.version.identity.id in asked.own)
        and all(
            (since is None or since <= at) and (before is None or at < before)
            for since, before in asked.updated
        )
        and all(matching.meets(found.body, one) for one in asked.criteria)
    )
