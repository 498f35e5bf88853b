"""Wake whoever delivers, as soon as something is owed. A hint: nothing depends on it.

A wake-up may be lost, doubled or late: a sweep finds every delivery that is due.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from sqlalchemy import Connection

from fhirbridge.store import after

SWEEP_SECONDS = 2.0
EVERYWHERE = ""  # as the name of a destination

Look = Callable[[str], None]  # at one destination, from any thread


class Waking(Protocol):
    """How who owes wakes who delivers."""

    sweep_seconds: float  # between two looks at everything, for what no wake-up told

    def wake(self, tx: Connection, destination: str, lane: str) -> None:
        """Wake for one lane, once this transaction is committed and only then.

        EVERYWHERE as the destination, and "" as the lane, mean all of them.
        """

    def listen(self, look: Look) -> None:
        """Call `look` with a destination at each wake-up, until `stop`."""

    def stop(self) -> None:
        """Call nobody any more."""


class Bell:
    """Wakes who delivers in this process; other processes find out by their sweep."""

    sweep_seconds = SWEEP_SECONDS

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._look: Look | None = None

    def wake(self, tx: Connection, destination: str, lane: str) -> None:  # noqa: ARG002  who looks finds the lane
        """Ring at the commit."""
        after.commit(tx, lambda: self._ring(destination))

    def listen(self, look: Look) -> None:
        """Let `look` hear it."""
        with self._lock:
            self._look = look

    def stop(self) -> None:
        """Ring for nobody."""
        with self._lock:
            self._look = None

    def _ring(self, destination: str) -> None:
        with self._lock:
            if self._look is not None:
                self._look(destination)
