"""The HL7 validator of the tests finds what is wrong, so its silence means something."""

from typing import Any

import pytest

from tests.hapi.hl7_validator import Hl7Validator

pytestmark = pytest.mark.hapi

HEART_RATE = "http://hl7.org/fhir/StructureDefinition/heartrate"
US_CORE_PATIENT = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"


def an_observation(**changes: object) -> dict[str, Any]:
    right: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
    }
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


def test_a_right_resource_has_no_errors(hl7_validator: Hl7Validator) -> None:
    assert hl7_validator.errors(an_observation()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": None}, "Observation.status: minimum required = 1"),
        ({"status": "done"}, "done"),
        ({"colour": "red"}, "colour"),
        ({"valueDateTime": "2026-13-45"}, "2026-13-45"),
        ({"effectiveDateTime": "2026-03-02T10:00:00"}, "timezone"),
        ({"category": {"text": "not a list"}}, "category"),
    ],
)
def test_each_kind_of_mistake_is_found(
    hl7_validator: Hl7Validator, changes: dict[str, object], said: str
) -> None:
    found = hl7_validator.errors(an_observation(**changes))

    assert said in "\n".join(found)


def test_what_is_not_json_is_an_error_and_the_validator_lives_on(
    hl7_validator: Hl7Validator,
) -> None:
    assert hl7_validator.errors(b"not\nJSON")
    assert hl7_validator.errors(an_observation()) == []


def test_a_named_profile_is_checked(hl7_validator: Hl7Validator) -> None:
    found = hl7_validator.errors(an_observation(), HEART_RATE)

    assert any("Observation.subject" in error for error in found)


@pytest.mark.us_core
def test_a_us_core_patient_needs_a_name(hl7_validator: Hl7Validator) -> None:
    patient = {
        "resourceType": "Patient",
        "meta": {"profile": [US_CORE_PATIENT]},
        "identifier": [{"system": "urn:example:mrn", "value": "1"}],
        "gender": "unknown",
    }

    nameless = hl7_validator.errors(patient)
    named = hl7_validator.errors({**patient, "name": [{"family": "Example"}]})

    assert any("Patient.name" in error for error in nameless)
    assert named == []
