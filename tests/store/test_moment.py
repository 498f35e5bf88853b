"""Stored times are UTC text of one width: sorting the text sorts the times."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.store import moment

A_WEEK = timedelta(days=7)  # room for any offset
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
first, last = datetime.min + A_WEEK, datetime.max - A_WEEK  # noqa: DTZ901  a zone is added
times = st.datetimes(min_value=first, max_value=last, timezones=zones)


@settings(deadline=None)
@given(times, times)
def test_the_order_of_texts_is_the_order_of_times(one: datetime, other: datetime) -> None:
    first, second = moment.to_text(one), moment.to_text(other)

    assert (first < second) is (one < other)
    assert (first == second) is (one == other)
    assert len(first) == len(second) == len("2026-03-02T14:00:00.000000Z")


@settings(deadline=None)
@given(times)
def test_a_stored_time_is_read_back_as_the_same_instant(one: datetime) -> None:
    back = moment.from_text(moment.to_text(one))

    assert back == one
    assert back.utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-03-02T09:00:00-05:00", "2026-03-02T14:00:00.000000Z"),
        ("2026-03-02T14:00:00Z", "2026-03-02T14:00:00.000000Z"),
        ("2026-03-02T14:00:00.5Z", "2026-03-02T14:00:00.500000Z"),
        ("2026-11-01T01:30:00-04:00", "2026-11-01T05:30:00.000000Z"),
        ("2026-11-01T01:30:00-05:00", "2026-11-01T06:30:00.000000Z"),
        ("2026-03-02", "2026-03-02T00:00:00.000000Z"),
        ("0999-12-31", "0999-12-31T00:00:00.000000Z"),
    ],
)
def test_a_time_of_a_record_is_brought_to_utc(written: str, stored: str) -> None:
    assert moment.from_record(written) == stored


def test_midnight_has_its_fractions_too() -> None:
    assert moment.to_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"
