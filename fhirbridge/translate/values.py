"""What translation hands on: frozen values, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Scope(StrEnum):
    """Which records may own a resource; the widest is shared by all patients of a site."""

    VISIT = "visit"
    SERIES = "series"
    PATIENT = "patient"
    SITE = "site"
    DELIVERY = "delivery"  # Provenance: made once per delivery, about what that delivery changed.


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Who translates.

    `host` stands in identifier systems, `key` makes ids that nobody can derive.
    """

    host: str
    tenant: str
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One output element and where it comes from. Paths only, never a patient's value."""

    target: str  # "MedicationAdministration.dosage.dose.value"
    line: str  # "resources/dose-iv-infusion.yaml:21"
    sources: tuple[str, ...]  # ("administrations[0].dose.value",)
    rule: str = ""  # "translate(route 1.0.0, equivalent)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedResource:
    """One FHIR resource made from one record."""

    type: str
    id: str
    mapping: str
    scope: Scope
    body: dict[str, Any]
    content_hash: str
    as_of: str  # RFC 3339 with offset, as in the record: which contributor is newest
    row: str  # the source row it was made from, "vitals/v-03"; "" for the whole record
    why: tuple[Why, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why one row could not be translated. No patient's value in it."""

    code: str  # "E4xx", stable
    mapping: str
    line: str  # "resources/vital-blood-pressure.yaml:14"
    source: str  # "vitals[3].blood_pressure"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """All that one record becomes. Where `problems` is not empty, nothing of it may be sent."""

    resources: tuple[TranslatedResource, ...]
    problems: tuple[Problem, ...]
    set_digest: str
    unmapped: tuple[str, ...]  # source paths with data that nothing read
    empty: tuple[Why, ...]  # target elements of which the source was absent
    # Shared resources, without a body, that a row of this record says do not hold (any more).
    withdrawn: tuple[TranslatedResource, ...] = ()
    record: Mapping[str, Any] = field(default_factory=dict)  # what of the record may leave
