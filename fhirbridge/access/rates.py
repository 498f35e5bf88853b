"""How often each caller may ask: a bucket of tokens each, kept in this process.

`serve` is one process. Behind several of them each counts for itself, so that a caller may ask as
many times as often: it is a bound on what one caller costs, not a quota.
"""

import math
import threading
from http import HTTPStatus

from fhirbridge.clock import Clock
from fhirbridge.errors import BridgeError

BURST_SECONDS = 10  # of asking at the full rate may come at once
MOST_CALLERS = 10_000  # tokens and sources; there are never so many


class TooOftenError(BridgeError):
    """A caller asks more often than it may. `seconds`: until it may again."""

    code = "E922"
    http_status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, seconds: int) -> None:
        """Say when to come back."""
        super().__init__(
            "you ask more often than the service is set to answer one caller; nothing was stored",
            hint="wait as long as Retry-After says; many records at once go as a backlog",
        )
        self.seconds = seconds


class Rates:
    """The buckets. `per_second`: how often each caller may ask for long; 0: without a limit."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        """Let everybody begin with a full bucket."""
        self._clock = clock
        self._rate = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # what was left, and when

    def count(self, caller: str) -> None:
        """Count one request. Raises TooOftenError, and then it is not counted."""
        if not self._rate:
            return
        now = self._clock.monotonic()
        with self._lock:
            left, at = self._left.get(caller, (self._most, now))
            left = min(self._most, left + (now - at) * self._rate)
            if left < 1:
                raise TooOftenError(math.ceil((1 - left) / self._rate))
            if len(self._left) >= MOST_CALLERS:
                self._left.clear()
            self._left[caller] = left - 1, now
