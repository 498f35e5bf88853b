from typing import Any

import pytest

from fhirbridge.sandbox import search
from fhirbridge.sandbox.outcome import RefusedError
from fhirbridge.sandbox.storage import Version
from tests.sandbox.an_ehr import START


def version(resource: dict[str, Any]) -> Version:
    return Version(
        type=resource["resourceType"], id="a1", number=1, updated=START, resource=resource
    )


def found(resource: dict[str, Any], name: str, value: str) -> bool:
    wanted = search.parse(resource["resourceType"], [(name, value)])
    return bool(wanted.select([version(resource)]))


DOCUMENT = {
    "resourceType": "DocumentReference",
    "masterIdentifier": {"system": "urn:m", "value": "1"},
    "identifier": [{"system": "urn:i", "value": "2"}, {"value": "3"}],
    "subject": {"reference": "Patient/p1"},
}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("identifier", "urn:m|1", True),
        ("identifier", "urn:i|2", True),
        ("identifier", "2", True),
        ("identifier", "urn:i|", True),
        ("identifier", "|3", True),
        ("identifier", "|2", False),
        ("identifier", "urn:m|2", False),
        ("identifier", "urn:x|9,urn:m|1", True),
        ("identifier", "urn:m\\|1", False),
        ("patient", "p1", True),
        ("patient", "Patient/p1", True),
        ("patient", "http://any.invalid/fhir/Patient/p1", True),
        ("patient", "p", False),
        ("subject", "p1", True),
        ("subject:Patient", "p1", True),
        ("subject", "Group/p1", False),
        ("_id", "a1", True),
        ("_id", "x,a1", True),
        ("_id", "a", False),
    ],
)
def test_a_parameter_finds_what_its_value_names(name: str, value: str, expected: bool) -> None:  # noqa: FBT001
    assert found(DOCUMENT, name, value) is expected


def test_a_patient_is_never_a_resource_of_another_type() -> None:
    assert not found({**DOCUMENT, "subject": {"reference": "Group/p1"}}, "patient", "p1")


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Task", "for": {"reference": "Patient/p1"}},
        {"resourceType": "Provenance", "target": [{"reference": "Patient/p1"}]},
        {"resourceType": "Consent", "patient": {"reference": "Patient/p1"}},
        {
            "resourceType": "Appointment",
            "participant": [{"actor": {"reference": "Patient/p1"}}, {}],
        },
    ],
)
def test_the_patient_is_found_where_the_type_keeps_it(resource: dict[str, Any]) -> None:
    assert found(resource, "patient", "p1")


@pytest.mark.parametrize(
    ("resource_type", "name", "value"),
    [
        ("Patient", "patient", "p1"),
        ("AdverseEvent", "identifier", "1"),
        ("Patient", "name", "x"),
        ("Patient", "_profile", "x"),
        ("Patient", "identifier:exact", "1"),
        ("Observation", "subject:Group", "1"),
        ("Patient", "identifier", ""),
        ("Patient", "_count", "-1"),
        ("Patient", "_sort", "name"),
        ("Patient", "_lastUpdated", "ge"),
    ],
)
def test_what_is_not_understood_is_refused(resource_type: str, name: str, value: str) -> None:
    with pytest.raises(RefusedError) as refused:
        search.parse(resource_type, [(name, value)])

    assert refused.value.http_status == 400


@pytest.mark.parametrize("query", ["", "identifier", "Patient?", "?"])
def test_a_condition_that_selects_by_nothing_is_refused(query: str) -> None:
    with pytest.raises(RefusedError):
        search.match_url("Patient", query)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", ["a", "b"]),
        ("a\\,b", ["a\\,b"]),
        ("a\\\\,b", ["a\\\\", "b"]),
        ("", [""]),
        ("a\\", ["a\\"]),
        (",", ["", ""]),
    ],
)
def test_an_escaped_separator_does_not_separate(text: str, parts: list[str]) -> None:
    assert search.split(text, ",") == parts
