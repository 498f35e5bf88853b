"""Times moved by a length of time, and bare numbers in another unit."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.translate.made import body_of, extra
from tests.translate.small_set import a_field, an_object, evaluate, fault_of, faults

SOURCE = an_object({"at": a_field("dateTime"), "day": a_field("date"), "n": a_field("integer")})
AT = "2026-03-02T23:30:00.250-05:00"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("at + 45 'minutes'", "2026-03-03T00:15:00.250-05:00"),
        ("at - 45 'minutes'", "2026-03-02T22:45:00.250-05:00"),
        ("at + 90 'seconds'", "2026-03-02T23:31:30.250-05:00"),
        ("at + 2 'hours' - 1 'days'", "2026-03-02T01:30:00.250-05:00"),
        ("at + 1 'days' > at", True),
    ],
)
def test_a_time_is_moved_and_keeps_its_offset_and_its_digits(text: str, value: Any) -> None:
    assert evaluate(text, {"at": AT}, SOURCE) == value


@pytest.mark.parametrize(
    ("at", "later"),
    [
        ("2026-03-02T23:30:00Z", "2026-03-02T23:35:00Z"),
        ("2024-02-28T23:58:00+05:30", "2024-02-29T00:03:00+05:30"),
    ],
)
def test_a_time_keeps_how_its_zone_is_written(at: str, later: str) -> None:
    assert evaluate("at + 5 'minutes'", {"at": at}, SOURCE) == later


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ("2026-03-02T09:00:00-05:00", "23:30:00"),
        ("2026-03-01T09:00:00-05:00", "2026-03-02 23:30:00"),
        ("2026-03-02T09:00:00-04:00", "2026-03-02 23:30:00 -05:00"),
        ("2026-03-02T09:00:00Z", "2026-03-02 23:30:00 -05:00"),
        (None, "2026-03-02 23:30:00 -05:00"),
    ],
)
def test_a_time_stands_alone_only_beside_one_of_its_day_and_offset(
    beside: str | None, told: str
) -> None:
    source = an_object({"at": a_field("dateTime"), "beside": a_field("dateTime")})

    assert evaluate("clock(at, beside)", {"at": AT, "beside": beside}, source) == told


def test_the_two_ways_to_write_utc_are_one_offset() -> None:
    source = an_object({"at": a_field("dateTime"), "beside": a_field("dateTime")})
    record = {"at": "2026-03-02T23:30:00Z", "beside": "2026-03-02T09:00:00+00:00"}

    assert evaluate("clock(at, beside)", record, source) == "23:30:00"


def test_nothing_told_or_moved_is_nothing() -> None:
    assert evaluate("at + 5 'minutes'", {}, SOURCE) is None
    assert evaluate("clock(at, at)", {}, SOURCE) is None


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("at + 5 'weeks'", "E201", "seconds, minutes, hours, days"),
        ("at + 1.5 'hours'", "E201", "a whole number"),
        ("at + 9999999 'days'", "E201", "a whole number"),
        ("clock(at, day)", "E205", "clock() takes two times"),
        ("day + 5 'minutes'", "E205", "a time is needed"),
        ("n + 5 'minutes'", "E205", "a time is needed"),
        ("at * 5 'minutes'", "E205", "a number is needed"),
        ("5 'minutes'", "E205", "can only be added to a time"),
        ("n = 5 'minutes'", "E205", "can only be added to a time"),
        ("at + 5", "E205", "a number is needed"),
    ],
)
def test_a_length_of_time_is_only_for_times(text: str, code: str, says: str) -> None:
    fault = fault_of(text, SOURCE)

    assert fault.code == code
    assert says in fault.message


@given(
    # With a fraction: without one, the other engine cannot move a time by less than a day.
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - a zone follows
        lambda at: at.isoformat(timespec="milliseconds")
    ),
    st.sampled_from(["+00:00", "-05:00", "+05:30"]),
    st.sampled_from("+-"),
    st.integers(0, 9999),
    st.sampled_from(["seconds", "minutes", "hours", "days"]),
)
def test_both_engines_move_a_time_alike(
    at: str, zone: str, sign: str, number: int, unit: str
) -> None:
    record = {"at": at + zone}

    ours = evaluate(f"at {sign} {number} '{unit}'", record, SOURCE)
    theirs = fhirpathpy.evaluate(record, f"at.toDateTime() {sign} {number} {unit}", {})

    assert datetime.fromisoformat(ours) == datetime.fromisoformat(theirs[0])
    assert ours.endswith(zone)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("convert(72.50, 'kg', 'g')", "72500"),
        ("convert(1, 'lb', 'kg')", "0.45359237"),
        ("convert(100, 'kg', 'lb').round(3)", "220.462"),
        ("convert(500, 'g', 'kg')", "0.5"),
    ],
)
def test_a_bare_number_is_converted_exactly(tmp_path: Path, text: str, value: str) -> None:
    made = body_of(tmp_path, f'valueQuantity: {{value: "= {text}"}}')

    assert made["valueQuantity"]["value"] == Decimal(value)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("convert(100, 'kg', 'lb')", "E213", "put .round(n) after it"),
        ("convert(1, 'kg', 'kgg')", "E301", "did you mean 'kg'?"),
        ("convert(1, 'kg', 'spray')", "E301", "cannot be converted to 'spray'"),
        ("convert(1, 'kg', patient.id)", "E203", "two units in quotes"),
        ("convert('x', 'kg', 'g')", "E205", "a number is needed"),
        ("convert(1, 'kg')", "E203", "3 argument(s)"),
    ],
)
def test_what_cannot_be_converted_is_refused_at_load(
    tmp_path: Path, text: str, code: str, says: str
) -> None:
    body = f'status: final\ncode: loinc#29463-7\nvalueQuantity: {{value: "= {text}"}}'

    found = faults(tmp_path, extra(body))

    assert any(line.startswith(code) and says in line for line in found), found
