"""How an EHR that gives ids knows ours: a key finds it, and references are as it names them."""

from typing import Any

import pytest

from fhirbridge.fhir.names import OURS, TAG_SYSTEM, Names, key_of, token

SYSTEM = "https://clinic.invalid/id/vital"
OWN = {"system": SYSTEM, "value": "k1"}
MRN = {"system": "urn:mrn", "value": "Synthetic-1"}
PULSE: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "k1",
    "identifier": [OWN, MRN],
    "subject": {"reference": "Patient/k2"},
    "performer": [{"reference": "Practitioner/k3"}, {"identifier": MRN}],
}


@pytest.mark.parametrize(
    ("ours", "query"),
    [
        (PULSE, "identifier=https%3A%2F%2Fclinic.invalid%2Fid%2Fvital%7Ck1"),
        ({**PULSE, "identifier": OWN}, "identifier=https%3A%2F%2Fclinic.invalid%2Fid%2Fvital%7Ck1"),
        ({**PULSE, "resourceType": "AdverseEvent", "identifier": OWN}, "_tag"),
        ({"resourceType": "Provenance", "id": "k1"}, "_tag"),
        ({**PULSE, "identifier": [MRN]}, "_tag"),
    ],
    ids=["one of several", "only one", "not searched", "no identifier", "none of ours"],
)
def test_the_key_is_our_identifier_or_a_tag_and_never_the_patients(
    ours: dict[str, Any], query: str
) -> None:
    key = key_of(ours)

    assert key.query.startswith(query)
    assert "Synthetic" not in key.query
    assert key.is_of(Names({}).written(ours))


@pytest.mark.parametrize(
    "other",
    [
        {**PULSE, "identifier": [MRN]},
        {**PULSE, "resourceType": "Condition"},
        {"resourceType": "Observation"},
        {**PULSE, "identifier": "k1", "meta": "k1"},
        {**PULSE, "identifier": [{"system": SYSTEM, "value": "k12"}]},
    ],
)
def test_what_does_not_bear_the_key_is_something_else(other: dict[str, Any]) -> None:
    assert not key_of(PULSE).is_of(other)


def test_ours_is_written_as_the_ehr_names_it_and_what_it_points_to() -> None:
    names = Names({("Observation", "k1"): "7", ("Patient", "k2"): "9"})

    written = names.written(PULSE)

    assert (written["id"], written["subject"]) == ("7", {"reference": "Patient/9"})
    assert written["performer"] == PULSE["performer"]
    assert PULSE["subject"] == {"reference": "Patient/k2"}
    assert list(names.unknown(PULSE)) == [("Practitioner", "k3")]


def test_what_the_ehr_is_still_to_name_is_written_without_an_id() -> None:
    assert "id" not in Names({}).written(PULSE)


def test_what_no_identifier_finds_bears_a_tag_beside_its_own() -> None:
    label = {"system": "urn:label", "code": "synthetic"}
    ours = {"resourceType": "Provenance", "id": "k9", "meta": {"tag": [label], "profile": ["p"]}}

    written = Names({}).written(ours)

    own = {"system": TAG_SYSTEM, "code": "k9"}
    assert written["meta"] == {"tag": [label, own], "profile": ["p"]}
    assert ours["meta"] == {"tag": [label], "profile": ["p"]}


def test_under_our_own_ids_nothing_is_changed() -> None:
    assert OURS.written(PULSE) is PULSE
    assert OURS.id_of(("Observation", "k1")) == "k1"
    assert list(OURS.unknown(PULSE)) == []


def test_a_token_escapes_what_a_search_reads_as_its_own() -> None:
    assert token("urn:a|b", "1,2$3\\4") == "urn:a\\|b|1\\,2\\$3\\\\4"
