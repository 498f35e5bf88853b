import pytest

from fhirbridge.translate.definitions import resource_types, room, room_of


def test_a_choice_is_one_element_for_each_type() -> None:
    elements = room("Observation").elements

    assert elements["valueQuantity"].type == "Quantity"
    assert elements["valueQuantity"].name == "Observation.valueQuantity"
    assert "value" not in elements


def test_the_content_of_a_backbone_element_is_its_own_room() -> None:
    component = room("Observation").elements["component"]

    inner = room_of(component)

    assert inner.name == "Observation.component"
    assert ("code", "_code") in inner.demanded
    assert component.many


def test_content_that_is_defined_elsewhere_is_found_there() -> None:
    component = room_of(room("Observation").elements["component"])

    assert room_of(component.elements["referenceRange"]).name == "Observation.referenceRange"


def test_a_data_type_is_its_own_room() -> None:
    assert "comparator" in room_of(room("Observation").elements["valueQuantity"]).elements


def test_extensions_may_stand_beside_a_simple_value() -> None:
    assert "extension" in room_of(room("Observation").elements["_status"]).elements


@pytest.mark.parametrize(
    ("type_name", "key", "codes"),
    [
        ("Patient", "gender", {"male", "female", "other", "unknown"}),
        ("Goal", "lifecycleStatus", {"proposed", "planned", "accepted", "active", "on-hold"}),
        ("DocumentReference", "status", {"current", "superseded", "entered-in-error"}),
    ],
)
def test_required_value_sets_are_known(type_name: str, key: str, codes: set[str]) -> None:
    found = {code for listed in room(type_name).elements[key].codes.values() for code in listed}

    assert codes <= found


def test_references_know_what_they_may_point_to() -> None:
    assert room("CarePlan").elements["subject"].targets == ("Group", "Patient")
    assert room("Provenance").elements["target"].targets == ()  # any resource


def test_every_type_that_we_make_is_there() -> None:
    known = resource_types()

    assert {"Patient", "MedicationAdministration", "CarePlan", "Provenance"} <= set(known)
    assert "Resource" not in known
