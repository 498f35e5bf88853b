"""When a look is due because of a hint."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.subscriptions import pace
from fhirbridge.subscriptions.pace import FIRST, LONGEST
from tests.fakes import START

S = timedelta(seconds=1)


def test_the_first_hint_leads_to_a_look_at_once() -> None:
    assert pace.due(START, None, timedelta(), at_once=False) == START


@pytest.mark.parametrize(
    ("ago", "wait", "at_once", "after"),
    [
        (10, 24, False, 14),
        (30, 24, False, 0),
        (1, 60, True, 2),  # after a gap as soon as it can be
        (10, 60, True, 0),
        (-3600, 60, False, 0),  # our clock was put back
    ],
)
def test_a_hint_waits_for_what_is_to_lie_between_two_looks(
    ago: int, wait: int, after: int, *, at_once: bool
) -> None:
    assert pace.due(START, START - ago * S, wait * S, at_once=at_once) == START + after * S


def test_while_hints_go_on_the_looks_draw_apart_to_a_minute() -> None:
    waits, wait, now, looked = [], timedelta(), START, None
    for _ in range(8):
        wait = pace.next_wait(wait, now, looked)
        looked, now = now, now + wait
        waits.append(wait / S)

    assert waits == [3, 6, 12, 24, 48, 60, 60, 60]
    assert pace.next_wait(LONGEST, now + pace.QUIET, looked) == FIRST


@given(st.integers(0, 3600), st.integers(-7200, 7200))
def test_a_wait_is_never_shorter_than_the_first_nor_longer_than_a_minute(
    wait: int, ago: int
) -> None:
    assert FIRST <= pace.next_wait(wait * S, START, START - ago * S) <= LONGEST
