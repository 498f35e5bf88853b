"""What a resource says of something that does not go: nothing dangles, and R4 still takes it."""

from typing import Any

import pytest

from fhirbridge.fhir.left_out import ACTORS, REQUIRED, bare, logical, without
from fhirbridge.translate import definitions

VISIT, NURSE = ("Encounter", "v"), ("Practitioner", "n")
BY_NAME = {"type": "Practitioner", "display": "Lena Synthetic-Berg"}
ABSENT: dict[tuple[str, str], dict[str, Any]] = {
    VISIT: {"type": "Encounter"},
    NURSE: BY_NAME,
    ("Observation", "w"): {"type": "Observation"},
    ("MedicationAdministration", "d"): {"type": "MedicationAdministration"},
}


def to(kind: str, own: str) -> dict[str, str]:
    return {"reference": f"{kind}/{own}"}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("MedicationAdministration", {"context": to(*VISIT)}, {}),
        ("Observation", {"hasMember": [to("Observation", "w"), to("Observation", "x")]},
         {"hasMember": [to("Observation", "x")]}),
        ("Observation", {"hasMember": [to("Observation", "w")]}, {}),
        ("Observation", {"performer": [to(*NURSE)]}, {"performer": [BY_NAME]}),
        ("Procedure", {"performer": [{"function": {}, "actor": to(*NURSE)}]},
         {"performer": [{"function": {}, "actor": BY_NAME}]}),
        ("DocumentReference", {"context": {"encounter": [to(*VISIT)]}}, {}),
        ("AdverseEvent", {"suspectEntity": [{"instance": to("MedicationAdministration", "d")}]},
         {"suspectEntity": [{"instance": {"type": "MedicationAdministration"}}]}),
        ("Observation", {"extension": [{"url": "u", "valueReference": to("Observation", "w")}]},
         {}),
        ("Provenance", {"target": [to(*VISIT)]}, {}),
    ],
)  # fmt: skip
def test_a_reference_is_left_out_or_says_a_name_alone(
    kind: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    resource = {"resourceType": kind, "id": "a", "subject": to("Patient", "p")}

    assert without({**resource, **before}, ABSENT) == {**resource, **after}


def test_where_nothing_is_absent_the_resource_is_as_it_was() -> None:
    resource = {"resourceType": "Observation", "id": "a", "encounter": to(*VISIT), "note": []}

    assert without(resource, {}) is resource


def test_every_reference_that_r4_demands_is_known() -> None:
    """But those that only a patient can be, who is never left out, and what a Provenance is of."""
    demanded = {
        (kind, f"{path.rpartition('.')[0]}.{one.key}".lstrip("."))
        for kind in definitions.resource_types()
        for path, one in elements(kind)
        if one.least and one.type == "Reference" and path.rpartition(".")[2] != "subject"
    }

    assert demanded - {("Patient", "link.other"), ("Provenance", "target")} == REQUIRED - {
        ("Appointment", "participant.actor")
    }


def elements(kind: str, path: str = "") -> list[tuple[str, definitions.Element]]:
    """All elements of a type with their paths, also those of objects in it."""
    found = []
    for one in definitions.room(kind, path).elements.values():
        found.append((one.path, one))
        if one.type in definitions.NESTED and not one.key.startswith("_") and not one.content:
            found += elements(kind, one.path)
    return found


def test_a_name_is_a_number_that_others_know_and_words() -> None:
    own = {"system": "https://clinic.invalid/id/practitioner", "value": "n"}
    npi = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1992999999", "use": "official"}
    person = {"resourceType": "Practitioner", "id": "n", "identifier": [own, npi]}
    name = [{"family": "Synthetic-Berg", "given": ["Lena"], "suffix": ["RN"]}]

    assert logical({**person, "name": name}) == {
        **BY_NAME,
        "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1992999999"},
    }
    assert logical({**person, "identifier": [own]}) == {"type": "Practitioner", "identifier": own}
    place = {"resourceType": "Location", "id": "l", "name": "Room 2"}
    assert logical(place) == {"type": "Location", "display": "Room 2"}


def test_two_that_differ_in_what_was_not_sent_alone_are_equal_without_it() -> None:
    whole = {
        "resourceType": "Observation",
        "encounter": to("Encounter", "7"),
        "performer": [to("Practitioner", "8"), to("Patient", "p")],
    }
    cut = {
        "resourceType": "Observation",
        "performer": [{"type": "Practitioner", "identifier": {"value": "1"}}, to("Patient", "p")],
    }

    assert bare(whole, {"Encounter", "Practitioner"}) == bare(cut, {"Encounter", "Practitioner"})
    assert bare(whole, {"Encounter"}) != bare(cut, {"Encounter"})
    assert "Patient" not in ACTORS
