"""When a message is tried again. Pure: no clock, no chance of its own."""

from datetime import timedelta

# Before each try, from the one before it (Standard Webhooks); in all, three days and a bit.
WAITS = (
    timedelta(),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
SPREAD = 0.2
LONGEST_ASKED = timedelta(hours=24)


def next_wait(made: int, *, asked: timedelta | None, jitter: float) -> timedelta | None:
    """Wait before the try after `made` ones, or None where all were made; `jitter` in [0, 1).

    What the receiver asked for makes the wait longer, within a day, and never shorter.
    """
    if made >= len(WAITS):
        return None
    spread = WAITS[made] * (1 - SPREAD + 2 * SPREAD * jitter)
    return max(spread, min(asked or timedelta(), LONGEST_ASKED))
