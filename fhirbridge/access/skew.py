"""Is a clock wrong: well signed messages that are all early or late by as much.

Kept in this process alone. Only what a known sender signed comes here: nobody else can fill it.
"""

from collections import deque
from datetime import datetime, timedelta
from statistics import median
from threading import Lock
from typing import NamedTuple

ENOUGH = 5  # different messages
ALIKE = timedelta(seconds=60)
REMEMBERED = timedelta(minutes=10)
MOST_REMEMBERED = 50  # for each sender


class _Seen(NamedTuple):
    message: str
    offset: timedelta
    at: datetime


class Skew:
    """Remembers by how much the refused messages of each sender were off."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: dict[str, deque[_Seen]] = {}

    def note(self, source: str, message: str, offset: timedelta, now: datetime) -> int | None:
        """Note one refused message; return the seconds by which enough of them agree, or None.

        A message that is played back again counts once.
        """
        with self._lock:
            seen = self._seen.setdefault(source, deque(maxlen=MOST_REMEMBERED))
            if all(one.message != message for one in seen):
                seen.append(_Seen(message, offset, now))
            recent = [one.offset.total_seconds() for one in seen if now - one.at <= REMEMBERED]
        middle = median(recent)
        agreed = [one for one in recent if abs(one - middle) <= ALIKE.total_seconds()]
        if len(agreed) < ENOUGH or len(agreed) * 2 <= len(recent):
            return None
        return round(median(agreed))
