"""When to try again. Pure: no clock, no chance of its own, so every case is a table in the test."""

from datetime import timedelta

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=15)
LONGEST_ASKED = timedelta(hours=24)


def next_wait(attempt: int, *, retry_after: timedelta | None, jitter: float) -> timedelta:
    """Wait before attempt number `attempt + 1`; `jitter` in [0, 1).

    What the server asked wins, within a day; "at once" is no wish to be asked again without end.
    """
    if retry_after is not None and retry_after > timedelta():
        return min(retry_after, LONGEST_ASKED)
    # Capped before the shift: attempt 4000 would otherwise overflow timedelta.
    doublings = min(attempt, 10)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT) * jitter
