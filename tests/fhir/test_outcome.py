"""What a server says went wrong is read as codes of a closed list, and never repeated."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir.outcome import ISSUE_TYPES, Place, issue_codes, places

SECRET = "Rosalind Zq"


def outcome(*issues: Any) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def issue(severity: Any = "error", code: Any = "invalid", **more: Any) -> dict[str, Any]:
    return {"severity": severity, "code": code, **more}


@pytest.mark.parametrize(
    ("resource", "codes"),
    [
        (outcome(issue()), ("invalid",)),
        (
            outcome(issue("fatal", "lock-error"), issue(code="throttled")),
            ("lock-error", "throttled"),
        ),
        (outcome(issue("warning"), issue("information", "informational")), ()),
        (outcome(issue("warning"), issue(code="conflict")), ("conflict",)),
        (outcome(issue(code=SECRET)), ("unknown",)),
        (outcome(issue(code=None)), ("unknown",)),
        (outcome(issue(code=["invalid"])), ("unknown",)),
        (outcome({"severity": "error"}), ("unknown",)),
        (outcome(issue(["error"])), ()),
        (outcome(issue({})), ()),
        (outcome("error", None, 7), ()),
        (outcome(), ()),
        ({"resourceType": "OperationOutcome"}, ()),
        ({"resourceType": "OperationOutcome", "issue": issue()}, ()),
        ({"resourceType": "Patient", "issue": [issue()]}, ()),
        ([issue()], ()),
        (None, ()),
        ("OperationOutcome", ()),
    ],
)
def test_the_codes_of_errors_are_read(resource: Any, codes: tuple[str, ...]) -> None:
    assert issue_codes(resource) == codes


def test_diagnostics_details_and_places_are_never_repeated() -> None:
    said = outcome(
        issue(diagnostics=SECRET, details={"text": SECRET}, expression=[f"Patient('{SECRET}')"])
    )

    assert issue_codes(said) == ("invalid",)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5) | st.just("error"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["issue", "severity", "code"]), inner)
        ),
    )
)
def test_whatever_a_server_sends_only_known_codes_come_out(issues: Any) -> None:
    codes = issue_codes({"resourceType": "OperationOutcome", "issue": issues})

    assert set(codes) <= ISSUE_TYPES


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({}, Place()),
        ({"expression": ["Observation.value"]}, Place(path="value")),
        ({"expression": ["Observation.value[x].code"]}, Place(path="value.code")),
        ({"expression": ["Observation.value.ofType(Quantity).code"]}, Place(path="value.code")),
        ({"location": ["/f:Observation/f:component[2]/f:code"]}, Place(path="component[2].code")),
        ({"expression": ["Bundle.entry[3]"]}, Place(entry=3)),
        ({"expression": ["Bundle.entry[3].request.url"]}, Place(entry=3)),
        ({"expression": ["Bundle.entry[3].resource.status"]}, Place(entry=3, path="status")),
        (
            {"expression": ["Bundle.entry[3].resource.ofType(Observation).value.ofType(Quantity)"]},
            Place(entry=3, path="value"),
        ),
        (
            {"location": ["Bundle.entry[0].resource/*Observation/o-1*/.status"]},
            Place(entry=0, path="status"),
        ),
        # XPath counts from one.
        (
            {"location": ["/f:Bundle/f:entry[2]/f:resource/f:Observation/f:valueQuantity"]},
            Place(entry=1, path="valueQuantity"),
        ),
        ({"diagnostics": "Observation.status: minimum required = 1"}, Place(path="status")),
        ({"diagnostics": "The entry Bundle.entry[12] is not valid"}, Place(entry=12)),
        ({"diagnostics": f"{SECRET} is no date"}, Place()),
        ({"expression": [f"Patient.name.where(family = '{SECRET}')"]}, Place(path="name.where")),
        ({"expression": "Observation.code"}, Place(path="code")),
        ({"expression": [7, None, {}]}, Place()),
        ({"location": 7}, Place()),
        ({"expression": ["Observation"]}, Place()),
        ({"expression": ["entry[3]"]}, Place()),
        (
            {"expression": ["Bundle"], "diagnostics": "Bundle.entry[1].resource.code"},
            Place(entry=1, path="code"),
        ),
    ],
)
def test_what_an_error_is_about_is_read(said: dict[str, Any], place: Place) -> None:
    assert places(outcome(issue(**said))) == (place,)


def test_each_error_has_a_place_and_a_warning_has_none() -> None:
    said = outcome(issue(), issue("warning"), issue(expression=["Bundle.entry[1]"]))

    assert places(said) == (Place(), Place(entry=1))


@given(st.text(max_size=80) | st.from_regex(r"/?Bundle[./]f?:?entry\[\d{1,9}\][./a-z*()]{0,30}"))
def test_no_place_is_too_strange_to_be_read(text: str) -> None:
    (found,) = places(outcome(issue(expression=[text], diagnostics=text)))

    assert found.entry is None or found.entry >= 0
