"""When the next look is due that a notification asks for. Pure.

The first hint leads to a look at once. As long as hints go on, each look is twice as far from the
one before it, until a minute lies between them: then they cost what asking every minute costs.
A missed event leads to a look at once, whatever lies before it; once a minute.
"""

from datetime import datetime, timedelta

FIRST = timedelta(seconds=3)
LONGEST = timedelta(minutes=1)
QUIET = 2 * LONGEST  # without a look that was asked for, all is as at the beginning


def due(now: datetime, looked: datetime | None, wait: timedelta, *, at_once: bool) -> datetime:
    """Return when to look because of a hint that came now; `at_once`: as soon as it can be.

    `looked`: when the last such look began; `wait`: what was to lie after it.
    """
    if looked is None or looked > now:  # our clock was put back
        return now
    return max(now, looked + (FIRST if at_once else wait))


def is_long_ago(now: datetime, before: datetime | None) -> bool:
    """Say whether the last missed event is so long ago that one now is looked at at once."""
    return before is None or not timedelta() <= now - before < LONGEST


def next_wait(wait: timedelta, now: datetime, looked: datetime | None) -> timedelta:
    """Return what is to lie after a look that begins now."""
    if looked is None or not timedelta() <= now - looked < QUIET:
        return FIRST
    return min(2 * max(wait, FIRST), LONGEST)
