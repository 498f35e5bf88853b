"""Dates as R4 searches them: precision, prefixes, periods and time zones."""

import pytest

from fhirbridge.facade import spans

DAY, MORNING = "2026-03-02", "2026-03-02T09:30:00-05:00"
PERIOD = {"start": "2026-03-02T09:00:00-05:00", "end": "2026-03-02T10:10:00-05:00"}
OPEN = {"start": "2026-03-02"}


@pytest.mark.parametrize(
    ("element", "met", "not_met"),
    [
        (DAY, "2026-03-02 2026-03 2026 ge2026-03-02 le2026-03-02 gt2026-03-01 lt2026-03-03", ""),
        (DAY, "ne2026-03-03 sa2026-03-01 eb2026-03-03", "sa2026-03-02 eb2026-03-02 ne2026-03-02"),
        (DAY, "", "2026-03-01 gt2026-03-02 lt2026-03-02 ge2026-03-03 le2026-03-01 2025"),
        (MORNING, "2026-03-02 2026-03-02T09:30 2026-03-02T09:30:00 ge2026-03-02T14:30:00Z", ""),
        (MORNING, "2026-03-02T14:30:00Z", "2026-03-02T09:30:00Z gt2026-03-02T14:30:00Z 2026-03-03"),
        # The clock of the clinic says that it is still the 2nd.
        ("2026-03-02T23:30:00-05:00", "2026-03-02", "2026-03-03 2026-03-02T23:30:00Z"),
        (
            PERIOD,
            "2026-03-02 ge2026-03-02T10:00 gt2026-03-02T09:30 lt2026-03-02T09:30",
            "2026-03-01",
        ),
        (OPEN, "ge2030 gt2026-03-05 le2026-03-02", "2026-03-02 lt2026-03-02 eb2027"),
        ({"end": "2026-03-02"}, "le2026-03-02 lt2020", "ge2026-03-03"),
        ({}, "", "2026 ne2026"),
        ("2026-03", "2026 2026-03 ge2026-03-15", "2026-03-02 sa2026-03-01"),
    ],
)
def test_a_date_is_compared_as_r4_says(element: object, met: str, not_met: str) -> None:
    there = spans.of_element(element)

    asked = [*met.split(), *not_met.split()]
    found = [one for one in asked if spans.meets(there, spans.asked(one))]

    assert found == met.split()


@pytest.mark.parametrize(
    "text",
    ["", "ge", "2026-13", "2026-02-30", "02.03.2026", "2026-03-02T25:00", "2026-03-02T10",
     "2026-03-02T09:30:00+99:00", "0000", "9999-12-31", "2026-03-02 ", "٢٠٢٦", "20260302"],
)  # fmt: skip
def test_what_is_no_date_meets_nothing(text: str) -> None:
    assert not spans.meets(spans.of_element(DAY), spans.asked(text))


@pytest.mark.parametrize(
    ("text", "since", "before"),
    [
        ("2026-03-02", "2026-03-02T00:00", "2026-03-03T00:00"),
        ("gt2026-03-02T09:00:00Z", "2026-03-02T09:00:01", None),
        ("ge2026-03-02T09:00:00-05:00", "2026-03-02T14:00", None),
        ("lt2026-03", None, "2026-03-01T00:00"),
        ("le2026-03-02T09:00:00.5Z", None, "2026-03-02T09:00:00.6"),
    ],
)
def test_a_time_of_storing_is_asked_for_as_a_stretch(
    text: str, since: str | None, before: str | None
) -> None:
    wanted = spans.asked(text)
    assert wanted is not None

    found = spans.bounds(wanted)

    assert found is not None
    for moment, expected in zip(found, (since, before), strict=True):
        assert (moment is None) == (expected is None)
        assert moment is None or moment.isoformat().startswith(expected or "")
