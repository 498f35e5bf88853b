"""Which types are shown and by what they are searched: one table for search and for /metadata.

The parameters are those that US Core 6.1.0 names for what we make, and of R4 what else is asked
often. Paths lead through lists; `a.b` is the element b of each a.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """How a value is compared, as R4 names it."""

    TOKEN = "token"  # noqa: S105  no secret
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One search parameter of one type."""

    kind: Kind
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()  # types that a reference leads to; () for any
    names_patient: bool = False  # what it finds stands in the chart of the patient that it names


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One type: its parameters, and the paths of when what it tells of happened."""

    parameters: Mapping[str, Parameter]
    when: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()  # reference parameters that may be followed

    @property
    def is_of_a_patient(self) -> bool:
        """Say whether it stands in a patient's chart."""
        return any(one.names_patient for one in self.parameters.values())


def _token(*paths: str) -> Parameter:
    return Parameter(kind=Kind.TOKEN, paths=paths)


def _date(*paths: str) -> Parameter:
    return Parameter(kind=Kind.DATE, paths=paths)


def _string(*paths: str) -> Parameter:
    return Parameter(kind=Kind.STRING, paths=paths)


def _reference(path: str, *targets: str) -> Parameter:
    return Parameter(kind=Kind.REFERENCE, paths=(path,), targets=targets)


def _patient(path: str) -> Parameter:
    return Parameter(kind=Kind.REFERENCE, paths=(path,), targets=("Patient",), names_patient=True)


IDENTIFIER = {"identifier": _token("identifier")}
SUBJECT = {"patient": _patient("subject"), "subject": _patient("subject")}
ENCOUNTER = {"encounter": _reference("encounter", "Encounter")}

TYPES: Mapping[str, Shown] = MappingProxyType({
    "AdverseEvent": Shown(
        parameters={
            "subject": _patient("subject"),
            "date": _date("date"),
            "actuality": _token("actuality"),
            "event": _token("event"),
        },
        when=("date",),
    ),
    "Appointment": Shown(
        parameters={
            **IDENTIFIER,
            "patient": _patient("participant.actor"),
            "date": _date("start"),
            "status": _token("status"),
        },
        when=("start",),
    ),
    "CarePlan": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            "category": _token("category"),
            "date": _date("period"),
            "status": _token("status"),
        },
        when=("period",),
    ),
    "Condition": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            **ENCOUNTER,
            "category": _token("category"),
            "clinical-status": _token("clinicalStatus"),
            "verification-status": _token("verificationStatus"),
            "code": _token("code"),
            "onset-date": _date("onsetDateTime", "onsetPeriod"),
            "abatement-date": _date("abatementDateTime", "abatementPeriod"),
            "recorded-date": _date("recordedDate"),
        },
        when=("onsetDateTime", "onsetPeriod"),
    ),
    "Consent": Shown(
        parameters={
            **IDENTIFIER,
            "patient": _patient("patient"),
            "status": _token("status"),
            "category": _token("category"),
            "scope": _token("scope"),
            "date": _date("dateTime"),
        },
        when=("dateTime",),
    ),
    "DocumentReference": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            "category": _token("category"),
            "type": _token("type"),
            "date": _date("date"),
            "period": _date("context.period"),
            "status": _token("status"),
            "encounter": _reference("context.encounter", "Encounter"),
        },
        when=("context.period", "date"),
        includes=("encounter",),
    ),
    "Encounter": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            "class": _token("class"),
            "date": _date("period"),
            "type": _token("type"),
            "status": _token("status"),
            "discharge-disposition": _token("hospitalization.dischargeDisposition"),
            "location": _reference("location.location", "Location"),
            "participant": _reference("participant.individual"),
            "service-provider": _reference("serviceProvider", "Organization"),
        },
        when=("period",),
        includes=("location", "participant", "service-provider"),
    ),
    "Goal": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            "lifecycle-status": _token("lifecycleStatus"),
            "category": _token("category"),
            "start-date": _date("startDate"),
            "target-date": _date("target.dueDate"),
        },
        when=("startDate",),
    ),
    "Location": Shown(
        parameters={
            **IDENTIFIER,
            "name": _string("name", "alias"),
            "address": _string("address"),
            "address-city": _string("address.city"),
            "address-state": _string("address.state"),
            "address-postalcode": _string("address.postalCode"),
            "organization": _reference("managingOrganization", "Organization"),
            "status": _token("status"),
        },
        includes=("organization",),
    ),
    "MedicationAdministration": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            "status": _token("status"),
            "code": _token("medicationCodeableConcept"),
            "effective-time": _date("effectiveDateTime", "effectivePeriod"),
            "context": _reference("context", "Encounter"),
            "request": _reference("request", "MedicationRequest"),
            "performer": _reference("performer.actor"),
        },
        when=("effectiveDateTime", "effectivePeriod"),
        includes=("context", "performer", "request"),
    ),
    "MedicationRequest": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            **ENCOUNTER,
            "intent": _token("intent"),
            "status": _token("status"),
            "code": _token("medicationCodeableConcept"),
            "authoredon": _date("authoredOn"),
            "requester": _reference("requester"),
            "medication": _reference("medicationReference", "Medication"),
        },
        when=("authoredOn",),
        includes=("encounter", "medication", "requester"),
    ),
    "MedicationStatement": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            "status": _token("status"),
            "code": _token("medicationCodeableConcept"),
            "effective": _date("effectiveDateTime", "effectivePeriod"),
        },
        when=("effectiveDateTime", "effectivePeriod"),
    ),
    "Observation": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            **ENCOUNTER,
            "category": _token("category"),
            "code": _token("code"),
            "date": _date("effectiveDateTime", "effectivePeriod", "effectiveInstant"),
            "status": _token("status"),
            "part-of": _reference("partOf"),
            "has-member": _reference("hasMember"),
            "performer": _reference("performer"),
        },
        when=("effectiveDateTime", "effectivePeriod", "effectiveInstant"),
        includes=("encounter", "has-member", "part-of", "performer"),
    ),
    "Organization": Shown(
        parameters={
            **IDENTIFIER,
            "name": _string("name", "alias"),
            "address": _string("address"),
            "active": _token("active"),
        },
    ),
    "Patient": Shown(
        parameters={
            **IDENTIFIER,
            "name": _string("name"),
            "family": _string("name.family"),
            "given": _string("name.given"),
            "birthdate": _date("birthDate"),
            "gender": _token("gender"),
            "active": _token("active"),
        },
    ),
    "Practitioner": Shown(
        parameters={**IDENTIFIER, "name": _string("name"), "active": _token("active")},
    ),
    "PractitionerRole": Shown(
        parameters={
            **IDENTIFIER,
            "practitioner": _reference("practitioner", "Practitioner"),
            "organization": _reference("organization", "Organization"),
            "location": _reference("location", "Location"),
            "role": _token("code"),
            "specialty": _token("specialty"),
        },
        includes=("location", "organization", "practitioner"),
    ),
    "Procedure": Shown(
        parameters={
            **IDENTIFIER,
            **SUBJECT,
            **ENCOUNTER,
            "code": _token("code"),
            "date": _date("performedDateTime", "performedPeriod"),
            "status": _token("status"),
        },
        when=("performedDateTime", "performedPeriod"),
        includes=("encounter",),
    ),
    "Provenance": Shown(parameters={"target": _reference("target")}),
})  # fmt: skip

# What may be asked for along with a match that it names.
REVERSE = ("Provenance:target",)


def includes() -> frozenset[str]:
    """Return every `_include` that is followed, as `Type:parameter`."""
    return frozenset(f"{kind}:{one}" for kind, shown in TYPES.items() for one in shown.includes)
