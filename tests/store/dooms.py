"""Kills a migration between two of its statements."""

import os
import signal
from collections import Counter

DOOM: tuple[str, int] | None = None  # which schema, after which of its statements
_COUNTED: Counter[str] = Counter()


def step(schema: str) -> None:
    """Called by the migrations of a test after each statement."""
    _COUNTED[schema] += 1
    if DOOM is not None and DOOM[0] == schema and (_COUNTED[schema] - 1) % 4 == DOOM[1] - 1:
        os.kill(os.getpid(), signal.SIGKILL)
