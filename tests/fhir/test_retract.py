"""A retraction says so in the way of its type, and changes nothing else."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import retract, validate
from fhirbridge.settings import packaged_mappings
from tests.factories import World, a_visit

SUBJECT = {"reference": "Patient/p1"}
CODED = {"coding": [{"system": "urn:example:s", "code": "confirmed", "display": "Confirmed"}]}

# Shared with other visits, or without a status of its own: a person decides.
NEVER_BY_US = {
    "AdverseEvent",
    "Location",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Provenance",
}


@pytest.mark.parametrize(
    ("kind", "element", "before"),
    [
        ("CarePlan", "status", "active"),
        ("DocumentReference", "status", "current"),
        ("Encounter", "status", "finished"),
        ("Goal", "lifecycleStatus", "active"),
        ("MedicationAdministration", "status", "completed"),
        ("Observation", "status", "final"),
        ("Procedure", "status", "completed"),
    ],
)
def test_only_the_status_changes(kind: str, element: str, before: str) -> None:
    body = {"resourceType": kind, "id": "x1", element: before, "subject": SUBJECT}
    untouched = deepcopy(body)

    marked = retract.retracted(body)

    assert marked == {**untouched, element: "entered-in-error"}
    assert body == untouched
    assert retract.can_retract(kind)


def test_a_condition_says_it_by_its_verification_and_has_no_clinical_status_then() -> None:
    body = {
        "resourceType": "Condition",
        "id": "c1",
        "clinicalStatus": CODED,
        "verificationStatus": CODED,
        "subject": SUBJECT,
    }
    untouched = deepcopy(body)

    marked = retract.retracted(body)

    assert marked == {
        "resourceType": "Condition",
        "id": "c1",
        "verificationStatus": {"coding": [{"system": "urn:example:s", "code": "entered-in-error"}]},
        "subject": SUBJECT,
    }
    assert body == untouched


@pytest.mark.parametrize("kind", ["AdverseEvent", "Patient", "Provenance", "Organization"])
def test_a_type_without_such_a_status_needs_a_person(kind: str) -> None:
    assert not retract.can_retract(kind)
    with pytest.raises(ValueError, match=kind):
        retract.retracted({"resourceType": kind})


def test_retracting_twice_is_retracting_once() -> None:
    body = {"resourceType": "Condition", "clinicalStatus": CODED, "verificationStatus": CODED}

    once = retract.retracted(body)

    assert retract.retracted(once) == once


def test_every_type_that_a_mapping_makes_can_be_retracted_or_is_known_not_to() -> None:
    files = Path(packaged_mappings()).glob("resources/*.yaml")
    made = {
        kind
        for path in files
        for kind in re.findall(r"^target: (\w+)$", path.read_text("utf-8"), re.MULTILINE)
    }

    assert made - NEVER_BY_US == {kind for kind in made if retract.can_retract(kind)}
    assert "Observation" in made


def test_what_our_mappings_make_is_still_good_r4_once_retracted() -> None:
    world = World()
    receipt = world.accept(a_visit(1))
    found = world.bridge.record(receipt.id, actor="test")
    assert found is not None
    bodies: list[dict[str, Any]] = [one["body"] for one in found["resources"]]
    able = [body for body in bodies if retract.can_retract(body["resourceType"])]

    marked = [retract.retracted(body) for body in able]

    assert {body["resourceType"] for body in marked} >= {"Condition", "Goal", "Observation"}
    assert [problem for body in marked for problem in validate.problems(body)] == []
