"""When the next look is due that a notification asks for. Pure.

The first hint leads to a look at once. As long as hints go on, each look is twice as far from the
one before it, until a minute lies between them: then they cost what asking every minute costs.
"""

from datetime import datetime, timedelta

FIRST = timedelta(seconds=3)
LONGEST = timedelta(minutes=1)
QUIET = 2 * LONGEST  # without a look that was asked for, all is as at the beginning


def due(now: datetime, looked: datetime | None, wait: timedelta, *, is_gap: bool) -> datetime:
    """Return when to look because of a hint that came now; after a gap, as soon as it can be.

    `looked`: when the last such look began; `wait`: what was to lie after it.
    """
    if looked is None or looked > now:  # our clock was put back
        return now
    return max(now, looked + (FIRST if is_gap else wait))


def next_wait(wait: timedelta, now: datetime, looked: datetime | None) -> timedelta:
    """Return what is to lie after a look that begins now."""
    if looked is None or not timedelta() <= now - looked < QUIET:
        return FIRST
    return min(2 * max(wait, FIRST), LONGEST)
