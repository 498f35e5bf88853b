"""A server's copy is ours, or somebody changed it; what a server adds by itself is no change."""

import random
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone, tzinfo
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
    "effectiveDateTime": "2026-03-02T09:10:00-05:00",
    "code": {"coding": [{"code": "a"}, {"code": "b"}]},
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
        theirs(component={}),
        theirs(component={"coding": []}),
        theirs(performer=None),
        theirs(effectiveDateTime="2026-03-02T14:10:00Z"),
        theirs(effectiveDateTime="2026-03-02T14:10:00.000Z"),
        theirs(effectiveDateTime="2026-03-02T14:10:00+00:00"),
        theirs(code={"coding": [{"code": "b"}, {"code": "a"}]}),
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
        theirs(effectiveDateTime="2026-03-02T09:10:00Z"),
        theirs(effectiveDateTime="2026-03-02T14:10:00.001Z"),
        theirs(effectiveDateTime="2026-03-02"),
        theirs(code={"coding": [{"code": "a"}]}),
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


@pytest.mark.parametrize(
    ("copy", "elements"),
    [
        (theirs(), ()),
        (theirs(status="amended"), ("status",)),
        (theirs(valueQuantity={"value": Decimal("72.5"), "unit": "g"}),
         ("valueQuantity.unit", "valueQuantity.value")),
        (theirs(note=[{"text": "one"}, {"text": "three"}]), ("note[1].text",)),
        (theirs(note=[{"text": "one"}]), ("note",)),
        (theirs(issued="x", status="amended"), ("issued", "status")),
        ({name: value for name, value in OURS.items() if name != "subject"}, ("subject",)),
        (theirs(**{"Synthetic, Ann": 1, "_status": {"id": "x"}}), ("?", "_status")),
        (theirs(code="x"), ("code",)),
    ],
)  # fmt: skip
def test_the_differing_elements_are_named_and_no_value_is(
    copy: dict[str, Any], elements: tuple[str, ...]
) -> None:
    assert projection.differences(OURS, copy) == elements
    assert projection.differences(copy, OURS) == elements


@pytest.mark.parametrize(
    "text",
    ["2026-03-02T24:00:00Z", "2026-06-30T23:59:60Z", "0001-01-01T00:00:00+14:00", "٢٠٢٦-03-02T"],
)
def test_a_time_that_no_calendar_has_is_compared_as_it_is_written(text: str) -> None:
    assert projection.same({"issued": text}, {"issued": text})
    assert not projection.same({"issued": text}, {"issued": "2026-03-02T14:00:00Z"})


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


EDGES = [datetime(year, 1, 2) for year in (1900, 2100)]  # noqa: DTZ001  hypothesis adds the zone
instants = st.datetimes(*EDGES, timezones=st.just(UTC))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
samples = st.fixed_dictionaries(
    {
        "resourceType": st.just("Observation"),
        "status": st.sampled_from(["final", "amended"]),
        "issued": instants,
        "valueQuantity": st.fixed_dictionaries(
            {"value": st.decimals(-1000, 1000, places=2), "unit": st.text("abcµ", max_size=3)}
        ),
        "note": st.lists(st.fixed_dictionaries({"text": st.text("abc ", min_size=1)}), min_size=1),
        "identifier": st.lists(st.text("abc", min_size=1), min_size=1, max_size=4, unique=True),
    }
)


def written(sample: dict[str, Any], zone: tzinfo = UTC) -> dict[str, Any]:
    body = {**sample, "issued": sample["issued"].astimezone(zone).isoformat()}
    body["identifier"] = [{"value": value} for value in sample["identifier"]]
    return body


@given(samples, zones, st.randoms(use_true_random=False))
def test_noise_of_a_server_is_never_drift(
    sample: dict[str, Any], zone: timezone, chance: random.Random
) -> None:
    ours = written(sample)
    copy = written(sample, zone)
    copy |= {"meta": {"versionId": "9"}, "text": {"div": "<div/>"}, "extension": []}
    chance.shuffle(copy["identifier"])
    members = list(copy.items())
    chance.shuffle(members)

    assert projection.same(ours, dict(members))
    assert projection.differences(ours, dict(members)) == ()


CHANGES: list[tuple[str, Callable[[dict[str, Any]], Any]]] = [
    ("status", lambda body: body.update(status=body["status"] + "x")),
    ("issued", lambda body: body.update(issued="2101-01-01T00:00:00Z")),
    (
        "valueQuantity.value",
        lambda body: body["valueQuantity"].update(
            value=Decimal(f"{body['valueQuantity']['value']}0")
        ),
    ),
    ("valueQuantity.unit", lambda body: body["valueQuantity"].update(unit="mol")),
    ("note[0].text", lambda body: body["note"][0].update(text=body["note"][0]["text"] + "!")),
    ("note", lambda body: body["note"].append({"text": "new"})),
    ("identifier", lambda body: body["identifier"].pop()),
    ("code", lambda body: body.update(code={"text": "new"})),
    ("status", lambda body: body.pop("status")),
]


@given(samples, st.sampled_from(CHANGES))
def test_any_changed_element_is_drift_and_is_named(
    sample: dict[str, Any], change: tuple[str, Callable[[dict[str, Any]], Any]]
) -> None:
    element, apply = change
    ours = written(sample)
    copy = deepcopy(ours)
    apply(copy)

    assert not projection.same(ours, copy)
    assert projection.differences(ours, copy) == (element,)
