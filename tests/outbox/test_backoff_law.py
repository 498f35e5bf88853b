"""R10: many that fail together do not come back together."""

from collections import Counter

import pytest

from fhirbridge.outbox.backoff import LONGEST_WAIT, next_wait
from tests.fakes import SeededRng

STREAMS = 1000
HOUR = 3600.0


@pytest.mark.parametrize("hours", [3, 8])
def test_r10_no_second_holds_more_than_a_twentieth_of_the_retries(hours: int) -> None:
    chance = SeededRng(hours)
    seconds: Counter[int] = Counter()
    for _ in range(STREAMS):
        at, attempt = 0.0, 0
        while at < hours * HOUR:
            wait = next_wait(attempt, retry_after=None, jitter=chance.jitter())
            at, attempt = at + wait.total_seconds(), attempt + 1
            seconds[int(at)] += 1

    assert max(seconds.values()) <= 0.05 * seconds.total()


@pytest.mark.parametrize("attempt", [5, 8, 10, 4000])
def test_r10_from_the_sixth_on_each_round_is_spread_as_well(attempt: int) -> None:
    chance = SeededRng(attempt)
    waits = [
        next_wait(attempt, retry_after=None, jitter=chance.jitter()).total_seconds()
        for _ in range(STREAMS)
    ]

    assert max(Counter(int(wait) for wait in waits).values()) <= 0.05 * STREAMS
    assert max(waits) <= LONGEST_WAIT.total_seconds()
