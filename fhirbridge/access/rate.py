"""How often a caller may knock. Kept in this process alone, of those only who were let in."""

import threading
from http import HTTPStatus

from fhirbridge.clock import Clock
from fhirbridge.errors import BridgeError

AT_ONCE = 200
A_SECOND = 50


class TooOftenError(BridgeError):
    """A caller knocks more often than it may."""

    code = "E935"
    http_status = HTTPStatus.TOO_MANY_REQUESTS


class Rate:
    """AT_ONCE calls of each name, and A_SECOND more each second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}  # calls, and when that was so

    def check(self, name: str) -> None:
        """Count one call. Raises TooOftenError where it is one too many."""
        now = self._clock.monotonic()
        with self._lock:
            left, since = self._left.get(name, (AT_ONCE, now))
            left = min(left + (now - since) * A_SECOND, AT_ONCE)
            may = left >= 1
            self._left[name] = (left - may, now)
        if not may:
            raise TooOftenError("too many calls; nothing of this one is needed", hint="slow down")
