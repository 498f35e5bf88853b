from datetime import UTC, datetime

import pytest

from fhirbridge.sandbox import dates
from fhirbridge.sandbox.outcome import RefusedError

NOON = datetime(2026, 2, 28, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("2026", True),
        ("2026-02", True),
        ("2026-02-28", True),
        ("2026-02-28T12:00Z", True),
        ("2026-02-28T12:00:00Z", True),
        ("2026-02-28T13:00:00+01:00", True),
        ("2026-02-28T12:00:00", True),
        ("2026-02-28T12:00:00.001Z", False),
        ("2026-03", False),
        ("ge2026-02-28T12:00:00.000Z", True),
        ("gt2026-02-28T12:00:00.000Z", False),
        ("gt2026-02-28T11:59:59.999Z", True),
        ("gt2026-02-28", False),
        ("gt2026-02-27", True),
        ("lt2026-02-28", False),
        ("lt2026-03", True),
        ("le2026-02", True),
        ("le2026-02-28T11:59Z", False),
        ("ne2026", False),
        ("ne2025", True),
        ("sa2026-01", True),
        ("eb2026-12", True),
    ],
)
def test_a_date_means_the_whole_time_that_it_names(value: str, holds: bool) -> None:  # noqa: FBT001
    assert dates.parse(value, name="_lastUpdated").holds(NOON) is holds


@pytest.mark.parametrize(
    "value", ["", "x", "26", "2026-13", "2026-02-30", "9999", "0000", "ap2026", "2026-02-28T25:00Z"]
)
def test_what_is_no_date_is_refused_by_name_without_its_value(value: str) -> None:
    with pytest.raises(RefusedError) as refused:
        dates.parse(value, name="_lastUpdated")

    assert refused.value.http_status == 400
    assert refused.value.message == "_lastUpdated is not a date"
