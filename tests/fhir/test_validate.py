"""What the structural check of resources catches, and that it repeats no patient's value."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.fhir.validate import problems

SECRET = "Alvarez-secret"

Resource = dict[str, Any]


def an_observation(**change: Any) -> Resource:
    sound: Resource = {
        "resourceType": "Observation",
        "id": "k1",
        "status": "final",
        "code": {"text": "Body weight"},
        "subject": {"reference": "Patient/k2"},
        "effectiveDateTime": "2026-03-02T09:10:00-05:00",
        "valueQuantity": {
            "value": Decimal("72.50"),
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }
    return _changed(sound, change)


def an_administration(**change: Any) -> Resource:
    sound: Resource = {
        "resourceType": "MedicationAdministration",
        "id": "k1",
        "status": "completed",
        "medicationCodeableConcept": {"text": "Ketamine"},
        "subject": {"reference": "Patient/k2"},
        "effectiveDateTime": "2026-03-02T09:30:00-05:00",
        "dosage": {"dose": {"value": Decimal("36.25"), "unit": "mg"}},
    }
    return _changed(sound, change)


def a_condition(**change: Any) -> Resource:
    sound: Resource = {
        "resourceType": "Condition",
        "code": {"text": "Treatment-resistant depression"},
        "subject": {"reference": "Patient/k2"},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
    }
    return _changed(sound, change)


def a_plan(activity: Resource) -> Resource:
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": "Patient/k2"},
        "activity": [activity],
    }


def _changed(resource: Resource, change: Resource) -> Resource:
    merged = {**resource, **change}
    return {key: value for key, value in merged.items() if value is not ...}


@pytest.mark.parametrize(
    "resource",
    [
        an_observation(),
        an_observation(valueQuantity=..., dataAbsentReason={"text": "not done"}),
        an_administration(),
        an_administration(status="not-done", dosage=...),
        an_administration(supportingInformation=[{"reference": "Observation/k3"}]),
        an_administration(
            dosage={
                "dose": {"extension": [{"url": "http://example.org/why", "valueCode": "unknown"}]}
            }
        ),
        a_condition(),
        a_plan({"detail": {"status": "scheduled"}}),
    ],
)
def test_a_sound_resource_has_no_problem(resource: Resource) -> None:
    assert problems(resource) == []


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ({}, "resourceType is missing"),
        ({"resourceType": "Session"}, "resourceType is not a resource of R4"),
        ({"resourceType": "../Patient"}, "resourceType is not a resource of R4"),
        (an_observation(status=...), "Observation.status is missing"),
        (an_observation(statu="final"), "Observation.statu is not an element of R4 here"),
        (an_observation(id="k" * 65), "Observation.id is too long"),
        (an_observation(note={"text": "x"}), "Observation.note is not an array"),
        (
            an_observation(effectiveDateTime="2026-13-45"),
            "Observation.effectiveDateTime has not the form of its type",
        ),
        (
            an_observation(valueString="x"),
            "Observation has several values where R4 allows one",
        ),
        (
            an_administration(effectiveDateTime=...),
            "MedicationAdministration has none of the values of which R4 requires one",
        ),
    ],
)
def test_what_the_r4b_models_refuse_is_said_with_its_path(resource: Resource, said: str) -> None:
    assert said in problems(resource)


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (
            an_observation(valueQuantity={"value": "72"}),
            "Observation.valueQuantity.value is not a number",
        ),
        (
            an_observation(valueQuantity=..., valueBoolean="true"),
            "Observation.valueBoolean is not true or false",
        ),
        (
            an_observation(valueQuantity=..., valueInteger=Decimal("7.5")),
            "Observation.valueInteger is not a whole number",
        ),
        (an_observation(component=[]), "Observation.component is an empty array"),
        (an_observation(code={}), "Observation.code is empty"),
        (an_observation(code={"text": None}), "Observation.code.text is null"),
        (
            an_observation(subject={"reference": "Practitioner/k9"}),
            "Observation.subject refers to a Practitioner, which R4 does not allow here",
        ),
        (
            an_observation(subject={"reference": "Medication/k9"}),
            "Observation.subject refers to a Medication, which R4 does not allow here",
        ),
        (
            an_observation(
                extension=[{"url": "http://example.org/x", "valueRatioRange": {"id": "r"}}]
            ),
            "Observation.extension[0].valueRatioRange is not an element of R4 here",
        ),
    ],
)
def test_what_the_r4b_models_let_through_is_caught(resource: Resource, said: str) -> None:
    assert said in problems(resource)


@pytest.mark.parametrize(
    ("resource", "rule"),
    [
        (an_administration(dosage={"text": "as ordered"}), "mad-1"),
        (an_administration(contained=[{"resourceType": "Medication", "id": "m"}]), "dom-3"),
        (an_observation(dataAbsentReason={"text": "x"}), "obs-6"),
        (
            an_observation(
                code={"coding": [{"system": "s", "code": "c"}]},
                component=[
                    {"code": {"coding": [{"system": "s", "code": "c"}]}, "valueString": "x"}
                ],
            ),
            "obs-7",
        ),
        (a_condition(abatementDateTime="2026"), "con-4"),
        (a_condition(verificationStatus={"coding": [{"code": "entered-in-error"}]}), "con-5"),
        (
            a_plan(
                {"reference": {"reference": "Appointment/k"}, "detail": {"status": "scheduled"}}
            ),
            "cpl-3",
        ),
        (
            a_plan(
                {"detail": {"status": "scheduled", "scheduledTiming": {"repeat": {"period": 1}}}}
            ),
            "tim-2",
        ),
        (an_observation(valueQuantity={"value": 1, "code": "kg"}), "qty-3"),
        (an_observation(extension=[{"url": "http://example.org/x"}]), "ext-1"),
    ],
)
def test_a_broken_rule_of_r4_is_named(resource: Resource, rule: str) -> None:
    assert any(f"breaks {rule}:" in problem for problem in problems(resource))


@pytest.mark.parametrize(
    "resource",
    [
        an_observation(valueQuantity={"value": SECRET}),
        an_observation(status=[SECRET]),
        an_observation(effectiveDateTime=SECRET),
        an_observation(**{SECRET + " with a space": 1}),
        an_observation(subject={"reference": f"Practitioner/{SECRET}"}),
        an_observation(valueString=SECRET),
        an_observation(code={"text": [SECRET]}),
        {"resourceType": SECRET},
    ],
)
def test_no_problem_repeats_a_value(resource: Resource) -> None:
    found = problems(resource)

    assert found
    assert not any(SECRET in problem for problem in found)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=0, max_value=100000))
def test_any_decimal_is_a_number(value: Decimal) -> None:
    resource = an_observation(valueQuantity={"value": value, "unit": "mg"})

    assert problems(resource) == []


def test_the_resource_is_not_changed() -> None:
    resource = an_observation()

    problems(resource)

    assert resource == an_observation()
    assert str(resource["valueQuantity"]["value"]) == "72.50"
