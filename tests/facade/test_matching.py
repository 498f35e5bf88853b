"""Tokens, references and strings as R4 searches them."""

from typing import Any

import pytest

from fhirbridge.facade import matching
from fhirbridge.facade.matching import Criterion
from fhirbridge.facade.parameters import TYPES

LOINC = "http://loinc.org"
PULSE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": LOINC, "code": "8867-4"}, {"code": "own|pulse"}]},
    "subject": {"reference": "Patient/p-1"},
    "performer": [{"reference": "Practitioner/s-1"}, {"reference": "Organization/s-1"}],
}
SOMEBODY: dict[str, Any] = {
    "resourceType": "Patient",
    "active": True,
    "identifier": [{"system": "urn:x", "value": "00,42"}],
    "name": [{"family": "Müller-Lüdenscheidt", "given": ["Anna", "Zoë"]}],
}


def meets(body: dict[str, Any], name: str, value: str, modifier: str = "") -> bool:
    parameter = TYPES[body["resourceType"]].parameters[name]
    values = matching.split_values(value)
    return matching.meets(
        body, Criterion(name=name, modifier=modifier, parameter=parameter, values=values)
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8867-4", True),
        (f"{LOINC}|8867-4", True),
        (f"{LOINC}|", True),
        ("|8867-4", False),
        ("|own\\|pulse", True),
        ("own\\|pulse", True),
        ("http://other|8867-4", False),
        ("8480-6,8867-4", True),
        ("8480-6", False),
        ("8867-4\\,8480-6", False),
        ("|", False),
        ("", False),
    ],
)
def test_a_token_is_compared_as_r4_says(value: str, expected: bool) -> None:  # noqa: FBT001
    assert meets(PULSE, "code", value) == expected


def test_a_plain_code_and_a_truth_are_tokens_too() -> None:
    system = "http://hl7.org/fhir/observation-status"

    assert meets(PULSE, "status", "final")
    assert meets(PULSE, "status", f"{system}|final")
    assert not meets(PULSE, "status", "amended")
    assert meets(SOMEBODY, "active", "true")
    assert not meets(SOMEBODY, "active", "false")


@pytest.mark.parametrize(
    ("name", "value", "modifier", "expected"),
    [
        ("subject", "Patient/p-1", "", True),
        ("subject", "p-1", "", True),
        ("subject", "https://bridge.clinic.invalid/fhir/Patient/p-1", "", True),
        ("subject", "p-1", ":Patient", True),
        ("subject", "Group/p-1", "", False),
        ("subject", "p-2", "", False),
        ("performer", "s-1", "", True),
        ("performer", "Organization/s-1", "", True),
        ("performer", "s-1", ":PractitionerRole", False),
    ],
)
def test_a_reference_is_compared_by_type_and_id(
    name: str,
    value: str,
    modifier: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert meets(PULSE, name, value, modifier) == expected


@pytest.mark.parametrize(
    ("name", "value", "modifier", "expected"),
    [
        ("family", "muller", "", True),
        ("family", "MÜLLER-L", "", True),
        ("family", "ludens", "", False),
        ("family", "ludens", ":contains", True),
        ("family", "Müller-Lüdenscheidt", ":exact", True),
        ("family", "müller-lüdenscheidt", ":exact", False),
        ("given", "zoe", "", True),
        ("name", "anna", "", True),
        ("name", "anna,nobody", "", True),
        ("identifier", "00\\,42", "", True),
        ("identifier", "urn:x|00\\,42", "", True),
        ("identifier", "00,42", "", False),
    ],
)
def test_a_text_is_compared_from_its_beginning_without_case_and_accents(
    name: str,
    value: str,
    modifier: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert meets(SOMEBODY, name, value, modifier) == expected
