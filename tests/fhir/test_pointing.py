"""Ours points to what an EHR has itself, or, where nobody knows which, to nothing."""

from typing import Any

import pytest

from fhirbridge.fhir.names import Names
from fhirbridge.fhir.pointing import Theirs, numbers, pointed

KNOWN = Theirs(
    types=frozenset({"Encounter", "Practitioner", "MedicationRequest", "Appointment"}),
    ids={("Encounter", "kours"): "e-1", ("Practitioner", "kada"): "p-1"},
    numbered={("MedicationRequest", "O-1"): "m-1"},
    words={("Practitioner", "kberg"): "Lena Synthetic-Berg"},
)


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def order(number: str) -> dict[str, Any]:
    return {"type": "MedicationRequest", "identifier": {"value": number}, "display": "Order"}


POINTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "known": ({"encounter": to("Encounter/kours")}, {"encounter": to("Encounter/e-1")}),
    "not known": ({"encounter": to("Encounter/kother"), "a": 1}, {"a": 1}),
    "of a type that is ours": (
        {"subject": to("Patient/kpt"), "partOf": [to("Procedure/kpr")]},
        {"subject": to("Patient/kpt"), "partOf": [to("Procedure/kpr")]},
    ),
    "in words": (
        {"performer": [{"function": {"text": "f"}, "actor": to("Practitioner/kberg")}]},
        {"performer": [{
            "function": {"text": "f"},
            "actor": {"type": "Practitioner", "display": "Lena Synthetic-Berg"},
        }]},
    ),
    "one of a list": (
        {"contributor": [to("Practitioner/kada"), to("Practitioner/knone")]},
        {"contributor": [to("Practitioner/p-1")]},
    ),
    "all of a list": ({"context": {"encounter": [to("Encounter/kother")]}}, {}),
    "what is around it stays": (
        {"context": {"encounter": [to("Encounter/kother")], "period": {}}},
        {"context": {"period": {}}},
    ),
    "by a number": ({"request": order("O-1")}, {"request": {
        "reference": "MedicationRequest/m-1", "display": "Order"}}),
    "by a number that is not known": ({"request": order("O-2")}, {}),
    "an identifier is no reference": (
        {"identifier": [{"type": {"text": "MedicationRequest"}, "value": "O-1"}]},
        {"identifier": [{"type": {"text": "MedicationRequest"}, "value": "O-1"}]},
    ),
    "what was empty before": ({"extension": [], "a": {}}, {"extension": [], "a": {}}),
}  # fmt: skip


@pytest.mark.parametrize("case", POINTED)
def test_a_reference_names_the_ehrs_own_or_is_left_out(case: str) -> None:
    ours, there = POINTED[case]

    found = pointed({"resourceType": "Observation", "id": "k", **ours}, KNOWN)

    assert found == {"resourceType": "Observation", "id": "k", **there}


def test_a_provenance_does_not_tell_of_what_is_not_ours() -> None:
    targets = [to("Encounter/kours"), to("Observation/kob")]

    found = pointed({"resourceType": "Provenance", "target": targets}, KNOWN)

    assert found["target"] == [to("Observation/kob")]


def test_where_nothing_is_the_ehrs_own_all_stays_as_it_is() -> None:
    ours = {"resourceType": "Observation", "encounter": to("Encounter/kours"), "r": order("O-1")}

    assert pointed(ours, Theirs()) is ours


def test_every_number_is_found_at_any_depth() -> None:
    body = {"request": order("O-1"), "deep": [{"er": order("O-2")}], "not": {"type": "Patient"}}

    assert set(numbers(body, KNOWN.types)) == {
        ("MedicationRequest", "O-1"), ("MedicationRequest", "O-2"),
    }  # fmt: skip


def test_an_ehr_that_gives_ids_need_not_have_named_what_is_its_own() -> None:
    ours = {
        "resourceType": "Observation",
        "id": "kob",
        "encounter": to("Encounter/kother"),
        "partOf": [to("Procedure/kpr")],
    }

    names = Names(ids={("Observation", "kob"): "7"}, own=KNOWN)

    assert list(names.unknown(ours)) == [("Procedure", "kpr")]
    assert "encounter" not in names.written(ours)
