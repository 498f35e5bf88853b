"""R45: when a message is tried again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.webhooks import schedule

DAY = timedelta(hours=24)


def test_r45_all_tries_take_three_days_and_a_little() -> None:
    waits = [schedule.next_wait(made, asked=None, jitter=0.5) for made in range(10)]

    assert waits == list(schedule.WAITS)
    assert sum(schedule.WAITS, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert schedule.next_wait(10, asked=None, jitter=0.5) is None


@given(made=st.integers(0, 9), jitter=st.floats(0, 1, exclude_max=True))
def test_r45_each_wait_is_a_fifth_off_at_most(made: int, jitter: float) -> None:
    wait = schedule.next_wait(made, asked=None, jitter=jitter)

    assert wait is not None
    assert 0.8 * schedule.WAITS[made] <= wait <= 1.2 * schedule.WAITS[made]


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (timedelta(), timedelta(seconds=5)),
        (timedelta(seconds=1), timedelta(seconds=5)),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=3650), DAY),
    ],
)
def test_r45_what_is_asked_for_is_heeded_within_a_day_and_never_hurries(
    asked: timedelta, wait: timedelta
) -> None:
    assert schedule.next_wait(1, asked=asked, jitter=0.5) == wait


@given(made=st.integers(10, 10**6), asked=st.timedeltas())
def test_r45_after_the_last_try_nothing_is_asked_for(made: int, asked: timedelta) -> None:
    assert schedule.next_wait(made, asked=asked, jitter=0) is None
