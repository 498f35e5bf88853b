"""A server's copy is ours, or somebody changed it; what a server adds by itself is no change."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec, projection

OURS: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"security": [{"code": "R"}]},
    "status": "final",
    "subject": {"reference": "Patient/p1"},
    "valueQuantity": {"value": Decimal("72.50"), "unit": "kg"},
    "note": [{"text": "one"}, {"text": "two"}],
}


def theirs(**changes: Any) -> dict[str, Any]:
    return {**deepcopy(OURS), **changes}


@pytest.mark.parametrize(
    "copy",
    [
        theirs(),
        dict(reversed(theirs().items())),
        theirs(meta={"versionId": "7", "lastUpdated": "2026-03-02T14:00:00Z"}),
        theirs(text={"status": "generated", "div": "<div>theirs</div>"}),
        {name: value for name, value in OURS.items() if name != "meta"},
        theirs(extension=[]),
        theirs(code={}),
        theirs(code={"coding": []}),
        theirs(performer=None),
        theirs(valueQuantity={"value": Decimal("72.50"), "unit": "kg", "extension": []}),
    ],
)
def test_what_a_server_adds_by_itself_is_no_edit(copy: dict[str, Any]) -> None:
    assert projection.same(OURS, copy)
    assert projection.same(copy, OURS)


@pytest.mark.parametrize(
    "copy",
    [
        theirs(status="amended"),
        theirs(id="o2"),
        theirs(resourceType="Condition"),
        theirs(subject={"reference": "Patient/p2"}),
        theirs(subject={"reference": "Patient/p1", "display": "added"}),
        theirs(issued="2026-03-02T14:00:00Z"),
        theirs(valueQuantity={"value": Decimal("72.5"), "unit": "kg"}),
        theirs(valueQuantity={"value": "72.50", "unit": "kg"}),
        theirs(valueQuantity={"value": Decimal("72.50")}),
        theirs(note=[{"text": "two"}, {"text": "one"}]),
        theirs(note=[{"text": "one"}]),
        theirs(note=[{"text": "one"}, {"text": "two"}, {}]),
        theirs(note={"text": "one"}),
        theirs(note=[]),
        theirs(active=False),
        theirs(count=0),
        theirs(comment=""),
        {name: value for name, value in OURS.items() if name != "note"},
    ],
)
def test_every_other_difference_is_an_edit(copy: dict[str, Any]) -> None:
    assert not projection.same(OURS, copy)
    assert not projection.same(copy, OURS)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (b"72", b"72", True),
        (b"100", b"1e2", True),
        (b"72", b"72.0", False),
        (b"72.50", b"72.5", False),
        (b"0", b"false", False),
        (b"1", b"true", False),
        (b"0", b"-0.0", False),
    ],
)
def test_numbers_are_equal_when_they_are_written_alike(
    one: bytes, other: bytes, *, equal: bool
) -> None:
    same = projection.same({"value": codec.decode(one)}, {"value": codec.decode(other)})

    assert same is equal


def test_meta_and_text_inside_a_contained_resource_are_ours() -> None:
    ours = {"contained": [{"id": "m", "text": {"div": "a"}}]}

    assert not projection.same(ours, {"contained": [{"id": "m", "text": {"div": "b"}}]})


leaves = st.booleans() | st.integers() | st.text(max_size=3)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner)
)
bodies = st.dictionaries(st.sampled_from(["a", "b", "meta", "text"]), trees)


@settings(deadline=None)
@given(bodies)
def test_a_copy_read_from_its_bytes_is_the_same_and_comparing_changes_nothing(
    body: dict[str, Any],
) -> None:
    before = deepcopy(body)

    assert projection.same(body, codec.decode(codec.canonical(body)) if _sendable(body) else body)
    assert body == before


@settings(deadline=None)
@given(bodies, bodies)
def test_being_the_same_is_mutual(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert projection.same(one, other) is projection.same(other, one)


def _sendable(body: dict[str, Any]) -> bool:
    try:
        codec.decode(codec.canonical(body))
    except (codec.NotJsonError, UnicodeEncodeError):
        return False
    return True
