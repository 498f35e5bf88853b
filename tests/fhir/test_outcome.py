"""What a server says went wrong is read as codes of a closed list, and never repeated."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir.outcome import ISSUE_TYPES, issue_codes

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
