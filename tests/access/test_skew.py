"""I10: a clock that is wrong is told from single messages that are old."""

from datetime import timedelta

import pytest

from fhirbridge.access.skew import ENOUGH, MOST_REMEMBERED, Skew
from tests.fakes import START

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def noted(offsets: list[timedelta], *, step: timedelta = SECOND) -> list[int | None]:
    skew = Skew()
    return [
        skew.note("a", f"msg_{number}", offset, START + number * step)
        for number, offset in enumerate(offsets)
    ]


@pytest.mark.parametrize("offset", [HOUR, -HOUR, timedelta(minutes=6), timedelta(days=400)])
def test_i10_many_that_are_off_by_as_much_are_a_wrong_clock(offset: timedelta) -> None:
    found = noted([offset + number * SECOND for number in range(ENOUGH)])

    assert found[:-1] == [None] * (ENOUGH - 1)
    assert found[-1] == pytest.approx(offset.total_seconds(), abs=ENOUGH)


def test_i10_messages_that_are_old_by_different_times_are_not() -> None:
    assert noted([number * HOUR for number in range(1, 20)]) == [None] * 19


def test_i10_some_old_ones_between_do_not_hide_it() -> None:
    assert noted([5 * HOUR, HOUR, HOUR, 9 * HOUR, HOUR, HOUR, HOUR])[-1] == 3600


def test_i10_one_message_that_is_played_back_again_and_again_is_one() -> None:
    skew = Skew()

    found = {skew.note("a", "msg_1", HOUR, START + number * SECOND) for number in range(100)}

    assert found == {None}


def test_i10_what_was_long_ago_does_not_count() -> None:
    assert noted([HOUR] * 20, step=timedelta(minutes=3)) == [None] * 20


def test_i10_senders_are_told_apart_and_little_is_remembered_of_each() -> None:
    skew = Skew()

    found = {skew.note(f"sender {number}", f"msg_{number}", HOUR, START) for number in range(20)}
    for number in range(10 * MOST_REMEMBERED):
        skew.note("a", f"msg_{number}", HOUR, START)

    assert found == {None}
    assert len(skew._seen["a"]) == MOST_REMEMBERED
