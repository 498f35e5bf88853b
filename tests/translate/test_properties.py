"""Laws of translation, over any record of the small schema."""

import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.records.source import SourceField
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.translate.values import Translation
from tests.translate.small_set import FILES, SITE, SOURCE, write

NUMBERS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-10_000, max_value=10_000
).filter(lambda number: len(codec.plain(number)) <= codec.MAX_NUMBER_DIGITS)
MOMENTS = st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "+01:00")
TEXTS = st.text(
    st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=8
)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": st.integers(-99, 99),
    "decimal": NUMBERS,
    "boolean": st.booleans(),
    "date": st.dates().map(str),
    "partialDate": st.sampled_from(["1984", "1984-06", "1984-06-11"]),
    "dateTime": MOMENTS,
}


def records_of(field: SourceField) -> st.SearchStrategy[Any]:
    """Any value of a field, with anything in it absent."""
    if field.kind == "object":
        inner = {name: records_of(part) for name, part in field.fields.items()}
        return st.fixed_dictionaries({}, optional=inner)
    if field.kind == "list":
        assert field.item is not None
        return st.lists(records_of(field.item), max_size=3)
    return st.sampled_from(field.values) if field.values else PRIMITIVES[field.kind]


RECORDS = records_of(SOURCE)


@cache
def small_set(*, traced: bool = True) -> MappingSet:
    with tempfile.TemporaryDirectory() as folder:
        files = mapping_set.read(write(Path(folder), FILES))
    return mapping_set.compile_set(files, SOURCE, traced=traced)


def translated(record: dict[str, Any]) -> Translation:
    return engine.translate(record, mapping_set=small_set(), site=SITE)


@given(RECORDS)
def test_equal_records_give_equal_bytes(record: dict[str, Any]) -> None:
    again = codec.decode(codec.encode(record))

    first, second = translated(record), translated(again)

    assert [codec.encode(made.body) for made in first.resources] == [
        codec.encode(made.body) for made in second.resources
    ]
    assert first.problems == second.problems


@given(RECORDS)
def test_an_untraced_set_makes_the_same_bytes_and_finds_the_same_faults(
    record: dict[str, Any],
) -> None:
    traced = translated(record)

    plain = engine.translate(record, mapping_set=small_set(traced=False), site=SITE)

    assert [codec.encode(made.body) for made in plain.resources] == [
        codec.encode(made.body) for made in traced.resources
    ]
    assert [(made.row, made.as_of, made.content_hash) for made in plain.resources] == [
        (made.row, made.as_of, made.content_hash) for made in traced.resources
    ]
    assert {(found.code, found.line) for found in plain.problems} <= {
        (found.code, found.line) for found in traced.problems
    }
    assert bool(plain.problems) == bool(traced.problems)


@given(RECORDS)
def test_an_untraced_set_notes_nothing(record: dict[str, Any]) -> None:
    plain = engine.translate(record, mapping_set=small_set(traced=False), site=SITE)

    assert (plain.unmapped, plain.empty) == ((), ())
    assert all(made.why == () for made in plain.resources)


@given(RECORDS)
def test_any_record_is_translated_or_named_as_a_problem(record: dict[str, Any]) -> None:
    translation = translated(record)

    for made in translation.resources:
        assert made.body["id"] == made.id
        assert made.content_hash == codec.content_hash(made.body)
    assert all(problem.code.startswith("E4") for problem in translation.problems)


@given(RECORDS)
def test_a_translation_leaves_its_record_as_it_was(record: dict[str, Any]) -> None:
    before = codec.canonical(record)

    translated(record)

    assert codec.canonical(record) == before


@given(NUMBERS)
def test_every_decimal_arrives_with_the_digits_it_had(value: Decimal) -> None:
    row = {"id": "r-1", "time": "2026-03-02T09:00:00Z", "weight": {"value": value, "unit": "kg"}}
    record = {
        "session_id": "s",
        "recorded_at": "2026-03-02T09:00:00Z",
        "patient": {"id": "p", "family": "x"},
        "rows": [row],
    }

    found = [made for made in translated(record).resources if made.mapping == "weight"]

    assert (len(found) == 1) == (value > 0)
    for made in found:
        written = codec.plain(value).encode("ascii")
        assert b'"value":' + written + b"," in codec.encode(made.body)


def test_the_digest_is_that_of_names_and_bytes() -> None:
    digests = {
        mapping_set.Files(by_name={"a.yaml": b"x", "b.yaml": b"y"}).digest,
        mapping_set.Files(by_name={"a.yaml": b"xb.yamly"}).digest,
        mapping_set.Files(by_name={"a.yaml": b"y", "b.yaml": b"x"}).digest,
        mapping_set.Files(by_name={"a.yaml": b"x", "b.yaml": b"z"}).digest,
    }

    assert len(digests) == 4
    assert mapping_set.Files(by_name={"b.yaml": b"y", "a.yaml": b"x"}).digest in digests
