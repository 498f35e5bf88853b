from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema
from tests.records.strategies import records
from tests.records.visits import a_visit, findings
from tests.records.whole import COURSE

# A busy machine is no failure.
UNHURRIED = settings(deadline=None)
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12)
NUMBERS = st.integers(-(10**20), 10**20) | st.decimals(
    min_value=-(10**9), max_value=10**9, places=4, allow_nan=False
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
WORDS = TEXT | st.sampled_from(["id", "status", "entered-in-error", "value", "unit", "key", "text"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
# Never a word of the schema or of a message, so that finding one in a message is a leak.
CANARY = "Zq7Xw9Kanarie"


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [path, *(place for step, item in below for place in places(item, (*path, step)))]


PLACES = [place for place in places(a_visit()) if place]
COURSE_PLACES = [place for place in places(COURSE) if place]


def put(record: Any, place: tuple[Any, ...], value: Any) -> Any:
    copy = deepcopy(record)
    holder = copy
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return copy


def answer(record: Any) -> schema.CheckedRecord | tuple[Finding, ...]:
    try:
        return schema.load(codec.encode(record))
    except schema.InvalidRecordError as refused:
        return refused.findings


@UNHURRIED
@given(st.binary(max_size=200))
def test_any_few_bytes_give_one_of_two_refusals(raw: bytes) -> None:
    # No record has so few bytes.
    with pytest.raises((codec.NotJsonError, schema.InvalidRecordError)):
        schema.load(raw)


@UNHURRIED
@given(JSON)
def test_any_json_gives_a_record_or_findings(value: Any) -> None:
    result = answer(value)

    assert isinstance(result, schema.CheckedRecord) or result[0].level is Level.ERROR


@UNHURRIED
@given(st.sampled_from(PLACES), JSON)
def test_any_value_anywhere_in_a_record_gives_a_record_or_findings(
    place: tuple[Any, ...], value: Any
) -> None:
    result = answer(put(a_visit(), place, value))

    assert isinstance(result, schema.CheckedRecord) or result[0].level is Level.ERROR


def of_kind(field: SourceField) -> st.SearchStrategy[Any]:
    """Make values that the form allows, however odd together."""
    if field.kind == "object":
        inner = {name: of_kind(child) for name, child in field.fields.items()}
        return st.fixed_dictionaries({}, optional=inner)
    if field.item is not None:
        return st.lists(of_kind(field.item), max_size=3)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "string": st.sampled_from(field.values or ("a", "b", "mg", "kg", "%", "mg/h", "ketamine")),
        "integer": st.integers(0, 12),
        "decimal": st.decimals(-(10**4), 10**4, places=2) | st.integers(-5, 200),
        "boolean": st.booleans(),
        "date": st.sampled_from(["2026-03-02", "2019-01-01"]),
        "dateTime": st.sampled_from(
            ["2026-03-02T09:00:00-05:00", "2026-03-02T09:30:00", "2030-01-01T00:00:00Z"]
        ),
        "partialDate": st.sampled_from(["2019", "2026-03", "2026-03-02"]),
    }
    return plain[field.kind]


PARTS = (
    "administrations", "vitals", "assessments", "orders", "conditions", "consents", "plan",
    "consultation", "medications_current", "allergies", "labs", "procedures", "waste", "sedation",
    "dissociation", "adverse_events", "observation_period", "contacts",
)  # fmt: skip


def a_part(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    return st.tuples(st.just(name), of_kind(source_schema().fields[name]))


@UNHURRIED
@given(st.sampled_from(PARTS).flatmap(a_part))
def test_any_part_of_the_right_form_gives_a_record_or_findings(part: tuple[str, Any]) -> None:
    name, value = part

    result = answer(a_visit(**{name: value}))

    assert isinstance(result, schema.CheckedRecord) or result[0].level is Level.ERROR


@UNHURRIED
@given(st.sampled_from(PLACES), JSON)
def test_the_same_bytes_give_the_same_answer(place: tuple[Any, ...], value: Any) -> None:
    record = put(a_visit(), place, value)

    assert answer(record) == answer(record)


@UNHURRIED
@given(st.sampled_from(PLACES), JSON)
def test_what_was_checked_once_passes_again_with_nothing_held(
    place: tuple[Any, ...], value: Any
) -> None:
    result = answer(put(a_visit(), place, value))
    if not isinstance(result, schema.CheckedRecord):
        return

    again = answer(result.document)

    assert isinstance(again, schema.CheckedRecord)
    assert again.document == result.document
    assert all(finding.level is Level.WARNING for finding in again.findings)


@UNHURRIED
@given(
    st.sampled_from(PLACES), st.sampled_from([CANARY, f"{CANARY} x", [CANARY], {"text": CANARY}])
)
def test_no_finding_repeats_a_text_of_the_record(place: tuple[Any, ...], value: Any) -> None:
    record = put(a_visit(), place, value)

    said = " ".join(finding.message for finding in findings(record))

    assert CANARY not in said


@UNHURRIED
@given(st.sampled_from([place for place in PLACES if place[-1] == "value"]))
def test_no_finding_repeats_a_number_of_the_record(place: tuple[Any, ...]) -> None:
    record = put(a_visit(), place, Decimal("98765.4321"))

    said = " ".join(finding.message for finding in findings(record))

    assert "98765" not in said


def test_the_canary_would_be_seen_in_a_message() -> None:
    finding = Finding(level=Level.ERROR, code="R000", pointer="", message=f"is {CANARY}")

    assert CANARY in finding.message


@UNHURRIED
@given(st.sampled_from(PLACES), JSON)
def test_every_pointer_leads_to_a_place_or_to_where_one_is_missing(
    place: tuple[Any, ...], value: Any
) -> None:
    record = put(a_visit(), place, value)

    for finding in findings(record):
        steps = finding.pointer.split("/")[1:-1]
        holder: Any = record
        for step in steps:
            holder = holder[int(step)] if isinstance(holder, list) else holder[step]
        assert isinstance(holder, dict | list)


@UNHURRIED
@given(st.sampled_from(COURSE_PLACES), JSON)
def test_any_value_anywhere_in_a_whole_course_gives_a_record_that_passes_again(
    place: tuple[Any, ...], value: Any
) -> None:
    result = answer(put(COURSE, place, value))
    if not isinstance(result, schema.CheckedRecord):
        assert result[0].level is Level.ERROR
        return

    again = answer(result.document)

    assert isinstance(again, schema.CheckedRecord)
    assert again.document == result.document
    assert all(finding.level is Level.WARNING for finding in again.findings)


@UNHURRIED
@given(st.sampled_from(COURSE_PLACES), st.sampled_from([CANARY, [CANARY], {"text": CANARY}]))
def test_no_finding_of_a_whole_course_repeats_a_text(place: tuple[Any, ...], value: Any) -> None:
    said = " ".join(finding.message for finding in findings(put(COURSE, place, value)))

    assert CANARY not in said


@UNHURRIED
@given(records(), st.data())
def test_a_generated_record_without_one_of_its_parts_gives_a_record_or_findings(
    record: dict[str, Any], data: st.DataObject
) -> None:
    place = data.draw(st.sampled_from([one for one in places(record) if one]))
    copy = deepcopy(record)
    holder: Any = copy
    for step in place[:-1]:
        holder = holder[step]
    del holder[place[-1]]

    result = answer(copy)

    assert isinstance(result, schema.CheckedRecord) or result[0].level is Level.ERROR
