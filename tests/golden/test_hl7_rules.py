"""By HL7's own validator: the mappings keep the rules of R4, and of US Core where it has a profile.

No profile is claimed in the resources: a destination may not know it. They fit all the same.
"""

import pytest

from tests.golden import translating
from tests.golden.translating import Json
from tests.hapi.hl7_validator import Hl7Validator

pytestmark = pytest.mark.hapi

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
PROFILES = {
    "patient": "patient",
    "practitioner": "practitioner",
    "organization": "organization",
    "encounter": "encounter",
    "condition": "condition-encounter-diagnosis",
    "vital-blood-pressure": "blood-pressure",
    "vital-heart-rate": "heart-rate",
    "vital-respiratory-rate": "respiratory-rate",
    "vital-oxygen-saturation": "pulse-oximetry",
    "vital-temperature": "body-temperature",
    "vital-weight": "body-weight",
    "vital-height": "body-height",
    "vital-mean-pressure": "vital-signs",
    "vital-end-tidal-co2": "vital-signs",
    "scale": "observation-screening-assessment",
    "scale-phq9": "observation-screening-assessment",
    "scale-phq9-item": "observation-screening-assessment",
    "care-plan": "careplan",
    "goal": "goal",
    "session-note": "documentreference",
    "provenance": "provenance",
}
# One of each kind of visit; the other samples differ from these in values only.
KINDS = (
    "01-iv-series-visit-1.v1",
    "03-iv-series-visit-3.v1",
    "08-nasal-visit-1.v1",
    "09-intramuscular-visit-1.v1",
    "10-oral-visit-1.v1",
)


def an_odd_visit() -> Json:
    """Return a visit in which nearly everything is missing, unknown, refused or in words."""
    sent = translating.sample(translating.FIRST_VISIT)
    del sent["signed"]
    sent["patient"] |= {
        "race": [
            {"text": "Asian"},
            {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"},
        ],
        "ethnicity": {"text": "Not Hispanic or Latino"},
        "rems_id": "SYN-REMS-1",
        "deceased_on": "2026-03-30",
    }
    sent["visit"] |= {"status": "stopped-early", "disposition": {"key": "emergency-department"}}
    sent["conditions"] += [
        {**sent["conditions"][0], "id": "c-2", "verification_status": "entered-in-error"},
        {**sent["conditions"][0], "id": "c-3", "abatement": "2025", "role": "history"},
        {**sent["conditions"][0], "id": "c-4", "abatement": "2025", "clinical_status": "resolved"},
    ]
    infusion = sent["administrations"][0]
    refused = {"status": "not-done", "status_reason": {"key": "contraindication"}}
    sent["administrations"] = [
        {**infusion, "status": "in-progress", "dose": {"absent_reason": "temp-unknown"}},
        {**_without(infusion, "dose", "rates", "end", "supplies"), "id": "a-2", **refused},
        {
            **_without(infusion, "rates", "end"),
            "id": "a-3",
            "role": "rescue",
            "drug": {"text": "Mixture"},
            "ingredients": [{"id": "g-1", "drug": {"key": "ketamine"}}],
            "route": {"text": "by another way"},
            "dose": {"value": 2, "unit": "mL"},
        },
        {
            **_without(infusion, "supplies"),
            "id": "a-4",
            "route": {"key": "transdermal"},
            "dose": {"value": 1, "unit": "patch"},
            "devices": [{"id": "d-1", "lot": "L1"}, {"id": "d-2", "lot": "L2"}],
        },
    ]
    sent["vitals"] = [
        {
            "id": "v-1",
            "time": "2026-03-02T09:50:00-05:00",
            "device": "Monitor 3",
            "taken_by": "st-nurse",
            "blood_pressure": {"systolic": {"value": 40, "unit": "mmHg"}},
            "heart_rate": {"absent_reason": "error"},
            "respiratory_rate": {"value": 0, "unit": "/min"},
            "o2_flow": {"value": 10, "unit": "L/min"},
            "fio2": {"value": 60, "unit": "%"},
            "weight": {"value": 165, "unit": "lb", "method": "stated"},
            "readings": [{"id": "r-1", "name": "Heart rhythm", "text": "sinus bradycardia"}],
        }
    ]
    del sent["assessments"][0]["total"]
    sent["assessments"][0]["items"][8] = {
        "id": "i9",
        "number": 9,
        "absent_reason": "asked-declined",
    }
    sent["assessments"] += [
        {
            "id": "as-2",
            "instrument": {"text": "Mood line", "min": 0, "max": 100},
            "time": "2026-03-02T10:30:00-05:00",
            "mode": "clinician",
            "status": "not-done",
        },
        {
            "id": "as-3",
            "instrument": {"key": "c-ssrs-screener"},
            "time": "2026-03-02T10:30:00-05:00",
            "items": [{"id": "i1", "number": 1, "text": "yes"}],
        },
    ]
    sent["plan"]["phases"] = [
        {
            "id": "ph-1",
            "kind": "booster",
            "status": "scheduled",
            "dates": ["2026-04-01", "2026-04-08"],
            "dose": {"options": [56, 84], "unit": "mg"},
        },
        {
            "id": "ph-2",
            "kind": "maintenance",
            "status": "not-started",
            "frequency": {"times": 1, "per": 2, "per_max": 4, "unit": "wk"},
            "as_needed": True,
            "consecutive_days": 3,
        },
    ]
    return sent


def _without(row: Json, *names: str) -> Json:
    return {name: value for name, value in row.items() if name not in names}


def all_bodies(sent: Json) -> list[tuple[str, Json]]:
    found = translating.translate(sent)
    made = (*found.resources, translating.provenance(sent, found))
    return [(one.mapping, one.body) for one in made]


def records() -> list[Json]:
    return [*map(translating.sample, KINDS), an_odd_visit()]


def test_every_resource_keeps_the_rules_of_r4(hl7_validator: Hl7Validator) -> None:
    wrong = {
        (mapping, error)
        for sent in records()
        for mapping, body in all_bodies(sent)
        for error in hl7_validator.errors(body)
    }

    assert wrong == set()


@pytest.mark.us_core
@pytest.mark.parametrize("mapping", PROFILES)
def test_every_resource_fits_its_us_core_profile(hl7_validator: Hl7Validator, mapping: str) -> None:
    made = [body for sent in records() for name, body in all_bodies(sent) if name == mapping]

    wrong = {
        error for body in made for error in hl7_validator.errors(body, US_CORE + PROFILES[mapping])
    }

    assert made
    assert wrong == set()
