"""Typed columns, exact numbers, days."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.reports.table import Cell, Period, ReportError, Table, exact, numbers, texts


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9), st.integers(0, 10**40))
def test_a_number_is_written_digit_for_digit(number: Decimal, large: int) -> None:
    whole = Fraction(number) + large

    assert Fraction(exact(whole)) == whole
    assert Fraction(str(exact(whole))) == whole


def test_what_has_no_end_is_no_decimal() -> None:
    with pytest.raises(ValueError, match="no end"):
        exact(Fraction(1, 3))


@pytest.mark.parametrize("row", [("a",), ("a", "1"), (1, 1), ("a", 1, 1)])
def test_a_row_fits_its_columns(row: tuple[Cell, ...]) -> None:
    columns = (*texts(("a", "A")), *numbers(("b", "B")))

    with pytest.raises(ValueError, match=r"\bt\b"):
        Table(name="t", title="T", columns=columns, rows=(row,))


def test_a_period_ends_no_earlier_than_it_begins_and_has_both_its_ends() -> None:
    with pytest.raises(ReportError, match="--since"):
        Period(since=date(2026, 5, 2), until=date(2026, 5, 1))

    with pytest.raises(ReportError, match="--until"):
        Period(since=date(2026, 5, 2), until=date.max)
    one_day = Period(since=date(2026, 5, 1), until=date(2026, 5, 1))
    since, before = one_day.moments()

    assert (since.isoformat(), before.isoformat()) == (
        "2026-05-01T00:00:00+00:00",
        "2026-05-02T00:00:00+00:00",
    )
