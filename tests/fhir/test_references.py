"""Every literal reference is found, however deep and however it is written."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir.references import literal_references


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("Patient/p1", [("Patient", "p1")]),
        ("Patient/p1/_history/3", [("Patient", "p1")]),
        ("https://ehr.example.org/fhir/Patient/p1", [("Patient", "p1")]),
        ("http://ehr.example.org:8080/r4/Encounter/e-1/_history/2", [("Encounter", "e-1")]),
        (f"Patient/{'a' * 64}", [("Patient", "a" * 64)]),
        (f"Patient/{'a' * 65}", []),
        ("#medication", []),
        ("#a/b", []),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", []),
        ("Patient?identifier=urn:a|1", []),
        ("patient/p1", []),
        ("Patient/", []),
        ("/p1", []),
        ("Patient/p1/", []),
        ("Patient/p 1", []),
        ("Patient/p1\n", []),
        ("", []),
        (7, []),
        (None, []),
        (["Patient/p1"], []),
    ],
)
def test_a_reference_is_read_as_type_and_id(written: Any, found: list[tuple[str, str]]) -> None:
    assert list(literal_references({"subject": {"reference": written}})) == found


def test_references_are_found_at_any_depth_and_each_time() -> None:
    body = {
        "resourceType": "CarePlan",
        "subject": {"reference": "Patient/p1"},
        "goal": [{"reference": "Goal/g1"}, {"reference": "Goal/g2"}],
        "activity": [{"detail": {"performer": [{"reference": "Patient/p1"}]}}],
        "contained": [{"subject": {"reference": "Patient/p3"}}],
        "extension": [{"valueReference": {"reference": "Location/l1"}}],
    }

    assert list(literal_references(body)) == [
        ("Patient", "p1"),
        ("Goal", "g1"),
        ("Goal", "g2"),
        ("Patient", "p1"),
        ("Patient", "p3"),
        ("Location", "l1"),
    ]


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.text(max_size=3) | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["reference", "a"]), inner),
    )
)
def test_any_json_can_be_searched(value: Any) -> None:
    assert all(kind and identity for kind, identity in literal_references(value))
