"""Which elements of which types may stay where identifiers go: what is not here goes. Pure data.

45 CFR 164.514(b)(2) (Safe Harbor) and 164.514(e) (limited data set). Whole types are left out that
are about a provider, or whose required elements cannot stay (a DocumentReference is its attachment,
a Provenance and an Appointment have times to the second).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypeAlias


class Leaf(StrEnum):
    """What an element is, which says when it may stay."""

    WORD = auto()  # a code, a system, a unit, a display: stays where the mappings have that word
    TEXT = auto()  # what may have been typed: stays where the mappings have it, letter by letter
    NUMBER = auto()
    FLAG = auto()
    DATE = auto()
    REFERENCE = auto()
    NAME = auto()
    ZIP = auto()
    STATE = auto()
    COUNTRY = auto()
    CITY = auto()


@dataclass(frozen=True, slots=True)
class Whole:
    """Parts that mean something together only: where one of them goes, all go."""

    parts: Mapping[str, Leaf]
    beside: Mapping[str, Leaf]  # these may go alone


@dataclass(frozen=True, slots=True)
class Led:
    """An object that means nothing without any of these parts, and goes with the last of them."""

    by: frozenset[str]
    parts: "Mapping[str, Spec]"


Spec: TypeAlias = "Leaf | Whole | Led | Mapping[str, Spec]"

CODING = Whole({"system": Leaf.WORD, "code": Leaf.WORD}, {"display": Leaf.WORD})
CONCEPT: Spec = {"coding": CODING, "text": Leaf.TEXT}
QUANTITY = Whole(
    {
        "value": Leaf.NUMBER,
        "comparator": Leaf.WORD,
        "unit": Leaf.WORD,
        "system": Leaf.WORD,
        "code": Leaf.WORD,
    },
    {},
)
PERIOD: Spec = {"start": Leaf.DATE, "end": Leaf.DATE}
REFERENCE: Spec = {"reference": Leaf.REFERENCE}
RANGE: Spec = {"low": QUANTITY, "high": QUANTITY, "text": Leaf.TEXT}
NOTE: Spec = {"text": Leaf.TEXT}
RATIO: Spec = {"numerator": QUANTITY, "denominator": QUANTITY}
MEDICATION: Spec = {
    "resourceType": Leaf.WORD,
    "id": Leaf.WORD,
    "code": CONCEPT,
    "form": CONCEPT,
    "ingredient": Led(
        frozenset({"itemCodeableConcept"}), {"itemCodeableConcept": CONCEPT, "strength": RATIO}
    ),
}
WHEN: dict[str, Spec] = {"effectiveDateTime": Leaf.DATE, "effectivePeriod": PERIOD}
VALUE: dict[str, Spec] = {
    "valueQuantity": QUANTITY,
    "valueCodeableConcept": CONCEPT,
    "valueString": Leaf.TEXT,
    "valueBoolean": Leaf.FLAG,
    "valueInteger": Leaf.NUMBER,
    "dataAbsentReason": CONCEPT,
    "referenceRange": RANGE,
}
DRUG: dict[str, Spec] = {
    "contained": MEDICATION,
    "medicationCodeableConcept": CONCEPT,
    "medicationReference": REFERENCE,
}

ALLOWED: Mapping[str, Mapping[str, Spec]] = {
    "AdverseEvent": {
        "actuality": Leaf.WORD,
        "event": CONCEPT,
        "subject": REFERENCE,
        "encounter": REFERENCE,
        "date": Leaf.DATE,
        "seriousness": CONCEPT,
        "severity": CONCEPT,
        "outcome": CONCEPT,
        "suspectEntity": Led(
            frozenset({"instance"}), {"instance": REFERENCE, "causality": {"assessment": CONCEPT}}
        ),
    },
    "CarePlan": {
        "status": Leaf.WORD,
        "intent": Leaf.WORD,
        "category": CONCEPT,
        "title": Leaf.TEXT,
        "subject": REFERENCE,
        "period": PERIOD,
        "addresses": REFERENCE,
        "goal": REFERENCE,
    },
    "Condition": {
        "clinicalStatus": CONCEPT,
        "verificationStatus": CONCEPT,
        "category": CONCEPT,
        "severity": CONCEPT,
        "code": CONCEPT,
        "subject": REFERENCE,
        "onsetDateTime": Leaf.DATE,
        "abatementDateTime": Leaf.DATE,
        "note": NOTE,
    },
    "Encounter": {
        "status": Leaf.WORD,
        "class": CODING,
        "type": CONCEPT,
        "subject": REFERENCE,
        "period": PERIOD,
        "reasonReference": REFERENCE,
        "hospitalization": {"dischargeDisposition": CONCEPT},
    },
    "Goal": {
        "lifecycleStatus": Leaf.WORD,
        "achievementStatus": CONCEPT,
        "description": CONCEPT,
        "subject": REFERENCE,
        "startDate": Leaf.DATE,
        "target": {"measure": CONCEPT, "detailQuantity": QUANTITY, "dueDate": Leaf.DATE},
        "addresses": REFERENCE,
    },
    "MedicationAdministration": {
        **DRUG,
        **WHEN,
        "status": Leaf.WORD,
        "statusReason": CONCEPT,
        "subject": REFERENCE,
        "context": REFERENCE,
        "partOf": REFERENCE,
        "reasonReference": REFERENCE,
        "supportingInformation": REFERENCE,
        "request": REFERENCE,
        "dosage": Led(  # R4's mad-1
            frozenset({"dose", "rateQuantity"}),
            {
                "route": CONCEPT,
                "method": CONCEPT,
                "site": CONCEPT,
                "dose": QUANTITY,
                "rateQuantity": QUANTITY,
            },
        ),
        "note": NOTE,
    },
    "MedicationRequest": {
        **DRUG,
        "status": Leaf.WORD,
        "intent": Leaf.WORD,
        "category": CONCEPT,
        "subject": REFERENCE,
        "encounter": REFERENCE,
        "authoredOn": Leaf.DATE,
        "dosageInstruction": {
            "route": CONCEPT,
            "method": CONCEPT,
            "doseAndRate": {"doseQuantity": QUANTITY, "rateQuantity": QUANTITY},
            "maxDosePerAdministration": QUANTITY,
        },
        "note": NOTE,
    },
    "MedicationStatement": {
        **DRUG,
        **WHEN,
        "status": Leaf.WORD,
        "statusReason": CONCEPT,
        "subject": REFERENCE,
        "dateAsserted": Leaf.DATE,
        "reasonReference": REFERENCE,
        "dosage": {"route": CONCEPT},
        "note": NOTE,
    },
    "Observation": {
        **WHEN,
        **VALUE,
        "status": Leaf.WORD,
        "category": CONCEPT,
        "code": CONCEPT,
        "subject": REFERENCE,
        "encounter": REFERENCE,
        "partOf": REFERENCE,
        "hasMember": REFERENCE,
        "derivedFrom": REFERENCE,
        "interpretation": CONCEPT,
        "bodySite": CONCEPT,
        "method": CONCEPT,
        "component": Led(frozenset({"code"}), {**VALUE, "code": CONCEPT}),
        "note": NOTE,
    },
    "Patient": {
        "active": Leaf.FLAG,
        "gender": Leaf.WORD,
        "birthDate": Leaf.DATE,
        "name": {"family": Leaf.NAME, "given": Leaf.NAME},
        "address": {
            "city": Leaf.CITY,
            "state": Leaf.STATE,
            "postalCode": Leaf.ZIP,
            "country": Leaf.COUNTRY,
        },
    },
    "Procedure": {
        "status": Leaf.WORD,
        "statusReason": CONCEPT,
        "code": CONCEPT,
        "subject": REFERENCE,
        "encounter": REFERENCE,
        "performedPeriod": PERIOD,
        "performedDateTime": Leaf.DATE,
        "reasonReference": REFERENCE,
        "bodySite": CONCEPT,
        "outcome": CONCEPT,
        "note": NOTE,
    },
}

# What R4 requires, and these rules may take: it says then that it was masked.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "AdverseEvent": ("actuality", "subject"),
    "CarePlan": ("status", "intent", "subject"),
    "Condition": ("subject",),
    "Encounter": ("status", "class"),
    "Goal": ("lifecycleStatus", "description", "subject"),
    "MedicationAdministration": (
        "status", "subject", "medicationCodeableConcept", "effectiveDateTime", "effectivePeriod",
    ),
    "MedicationRequest": ("status", "intent", "subject", "medicationCodeableConcept"),
    "MedicationStatement": ("status", "subject", "medicationCodeableConcept"),
    "Observation": ("status", "code"),
    "Patient": ("birthDate",),
    "Procedure": ("status", "subject"),
}  # fmt: skip

# R4's own codes of what is required (status, intent, gender): a record brings them as they are.
CODES_OF_R4 = frozenset(
    """
    active actual amended arrived cancelled completed corrected draft entered-in-error female final
    finished in-progress intended male not-done not-taken on-hold onleave order other plan planned
    potential preliminary preparation proposal proposed registered rejected revoked stopped triaged
    unknown
    """.split()  # noqa: SIM905
)

# Three digits of ZIP codes under which 20,000 people or fewer live: both lists that are in use, of
# the census of 2000 (HHS, guidance on de-identification, 2012) and of 2010. That of 2020 was not
# seen.
FEW_PEOPLE = frozenset(
    """
    036 059 063 102 203 205 369 556 692 790 821 823 830 831 878 879 884 890 893
    """.split()  # noqa: SIM905  a word list reads best as text
)
STATES = frozenset(
    """
    AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM
    NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR VI
    """.split()  # noqa: SIM905
)
