"""Find in what an EHR says of a patient what the clinic's screen asks about. Pure; guesses nothing.

The table beside this file has the keys of the clinic's own list and the verified codes of each. A
code is found where it stands there letter by letter. That none is found is never said to mean that
there is nothing: what has no code of a system of the table is named, for a person to read.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "contraindications.csv"
# The same code systems, as HL7's version 3 and documents of it name them.
BY_OID = {
    "urn:oid:2.16.840.1.113883.6.88": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "urn:oid:2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
    "urn:oid:2.16.840.1.113883.6.96": "http://snomed.info/sct",
}
LOOKED_AT = ("Condition", "AllergyIntolerance")
NOT_GRADED = "not graded"
NOTE = (
    "Found are exact codes of the table, in Condition and AllergyIntolerance. What is not found "
    "may be there all the same: in words, under another code, or unknown to the EHR. Medications "
    "are shown and not judged. Only a clinician can say that there is no contraindication."
)
CLINICAL = {
    "active": "active",
    "recurrence": "active",
    "relapse": "active",
    "inactive": "not active",
    "remission": "not active",
    "resolved": "not active",
}
VERIFICATION = frozenset(
    {"unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"}
)
NOT_SAID = "not said"


class Reading(StrEnum):
    """What can be said of one resource by its codes."""

    FOUND = "in the table"
    OTHER = "coded, not in the table"
    WORDS = "not coded: read it"
    FOREIGN = "not coded in a system of the table: read it"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One code of one contraindication; `verified`: in how many publications it was seen."""

    key: str
    found_in: tuple[str, ...]  # types of resources
    system: str
    code: str
    display: str
    severity: str  # as the table has it; it grades none so far
    verified: str  # once | twice
    source: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """One code of the table that stands in a resource of the EHR."""

    resource: str  # Type/id, as the EHR has it
    contraindication: str
    system: str
    code: str
    display: str  # the table's
    severity: str
    verified: str
    source: str
    note: str
    status: str  # active | not active | not said
    verification: str  # as FHIR has it, or not said


@cache
def table() -> tuple[Row, ...]:
    """Return the table, with what has no code and must be read for."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Row(found_in=tuple(found_in.split()), **rest)
            for found_in, rest in ((one.pop("found_in"), one) for one in csv.DictReader(file))
        )


def flags(resources: Iterable[Mapping[str, Any]]) -> list[Flag]:
    """Return every code of the table that stands in these resources."""
    return [_flag(one, row) for one in resources for row in _rows(one)]


def reading(resource: Mapping[str, Any]) -> Reading:
    """Say what the codes of one resource allow to be said."""
    if resource.get("resourceType") not in LOOKED_AT:
        return Reading.NOT_JUDGED
    if _rows(resource):
        return Reading.FOUND
    named = list(_codings(resource))
    if any(system in _systems() for system, _ in named):
        return Reading.OTHER
    return Reading.FOREIGN if named else Reading.WORDS


def uncoded() -> tuple[str, ...]:
    """Return the contraindications for which the table has no code at all."""
    coded = {row.key for row in table() if row.code}
    return tuple(dict.fromkeys(row.key for row in table() if row.key not in coded))


def status(resource: Mapping[str, Any]) -> tuple[str, str]:
    """Return clinical status and verification of a Condition or AllergyIntolerance."""
    clinical = [CLINICAL[one] for one in _codes(resource.get("clinicalStatus")) if one in CLINICAL]
    verified = [one for one in _codes(resource.get("verificationStatus")) if one in VERIFICATION]
    return clinical[0] if clinical else NOT_SAID, verified[0] if verified else NOT_SAID


def _rows(resource: Mapping[str, Any]) -> list[Row]:
    kind = resource.get("resourceType")
    if kind not in LOOKED_AT:
        return []
    named = set(_codings(resource))
    return [one for one in table() if kind in one.found_in and (one.system, one.code) in named]


def _flag(resource: Mapping[str, Any], row: Row) -> Flag:
    clinical, verification = status(resource)
    return Flag(
        resource=f"{resource.get('resourceType')}/{resource.get('id')}",
        contraindication=row.key,
        system=row.system,
        code=row.code,
        display=row.display,
        severity=row.severity or NOT_GRADED,
        verified=row.verified,
        source=row.source,
        note=row.note,
        status=clinical,
        verification=verification,
    )


@cache
def _systems() -> frozenset[str]:
    return frozenset(row.system for row in table() if row.code)


def _codings(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield system and code of what this is about; of an allergy, also of what was reacted to."""
    concepts = [resource.get("code")]
    if resource.get("resourceType") == "AllergyIntolerance":
        concepts += [one.get("substance") for one in _objects(resource.get("reaction"))]
    for concept in concepts:
        for coding in _objects(concept.get("coding") if isinstance(concept, dict) else None):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(code, str) and code:
                said = system if isinstance(system, str) else ""
                yield BY_OID.get(said, said), code


def _codes(concept: Any) -> list[str]:
    codings = _objects(concept.get("coding") if isinstance(concept, dict) else None)
    return [str(one.get("code")) for one in codings]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
