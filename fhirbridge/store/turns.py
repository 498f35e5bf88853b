"""The writers of one process go one after the other, in the order in which they came.

SQLite asks again and again whether it may write: who writes without a pause is always quicker, and
the others are never let in.
"""

import threading
from collections import deque


class Turns:
    """A lock that is handed to who has waited longest."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def take(self, timeout_seconds: float) -> bool:
        """Wait for the turn; False where it did not come in this time."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=timeout_seconds):
            return True
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return False
        return True  # it came just now

    def give(self) -> None:
        """Hand the turn to the next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
