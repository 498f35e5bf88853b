"""How many requests the hands of one crew may have under way at one destination.

A place is counted in the database as long as the crew keeps a lane for it, so that all crews
together stay within the limit. While an EHR answers quickly the crew keeps one lane more: its next
request is ready, and goes once another one is answered.
"""

import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from fhirbridge.clock import Clock
from fhirbridge.deliver.limits import LONGEST_TURN
from fhirbridge.deliver.traffic import HELD_BACK
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown

# An EHR that needs longer for an answer makes no use of a request that is ready.
QUICK = timedelta(seconds=1)
AHEAD = 1  # lanes without a place


class Places:
    """The lanes of one crew, of one destination, and how many of them may be asking.

    Never more places than lanes, so that who counts the lanes counts all requests.
    """

    def __init__(self) -> None:
        """Begin without any lane or place."""
        self._changed = threading.Condition()
        self._lanes: set[str] = set()
        self._count = 0
        self._busy = 0
        self._waiting: deque[object] = deque()
        self._quick = False
        self._over = False

    @property
    def lanes(self) -> frozenset[str]:
        """Return the names of the lanes that the crew has."""
        with self._changed:
            return frozenset(self._lanes)

    @property
    def count(self) -> int:
        """Return how many places there are."""
        with self._changed:
            return self._count

    @property
    def ahead(self) -> int:
        """Return how many lanes without a place make sense as the EHR answers now."""
        with self._changed:
            return AHEAD if self._quick else 0

    @property
    def may_lead(self) -> bool:
        """Say whether one lane more may be had without a place."""
        with self._changed:
            return self._quick and self._count > 0 and len(self._lanes) < self._count + AHEAD

    def join(self, lane: str, *, ahead: bool, most: int) -> None:
        """Count a lane: with a place of its own, or `ahead` of one. At most so many remain.

        Within the commit that leases it, as `leave` within the one that gives it back.
        """
        with self._changed:
            self._lanes.add(lane)
            self._count = min(self._count + (not ahead), most)

    def leave(self, lane: str) -> None:
        """Count a lane no more; the place that only it stood for goes with it."""
        with self._changed:
            self._lanes.discard(lane)
            self._count = min(self._count, len(self._lanes))

    def take(self, seconds: float) -> bool:
        """Wait for a place, who came first has it first; False where none came in time."""
        mine = object()
        with self._changed:
            self._waiting.append(mine)
            self._changed.wait_for(lambda: self._over or self._is_for(mine), seconds)
            came = self._is_for(mine) and not self._over
            self._waiting.remove(mine)
            self._busy += came
            self._quick = self._quick and came
            self._changed.notify_all()
            return came

    def give(self, lasted: timedelta) -> None:
        """Free a place after an exchange that lasted so long."""
        with self._changed:
            self._busy -= 1
            self._quick = lasted < QUICK
            self._changed.notify_all()

    def close(self) -> None:
        """Give no place any more: its crew is to end, and who waits begins nothing."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _is_for(self, mine: object) -> bool:
        return self._busy < self._count and self._waiting[0] is mine


class Placed:
    """A transport that has one exchange in each place, and sends nothing while there is none."""

    def __init__(
        self, places: Places, clock: Clock, inner: Transport, *, may_go: Callable[[], bool]
    ) -> None:
        """`may_go` is asked once a place is there: somebody may have stopped it meanwhile."""
        self._places = places
        self._clock = clock
        self._inner = inner
        self._may_go = may_go

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        """Do one exchange; NotSent where it would have to wait for long."""
        if not self._places.take(LONGEST_TURN.total_seconds()):
            return NotSent(reason=f"{HELD_BACK}others are being asked")
        began = self._clock.monotonic()
        try:
            if not self._may_go():
                return NotSent(reason=f"{HELD_BACK}it was stopped meanwhile")
            return self._inner.send(request, deadline_seconds=deadline_seconds)
        finally:
            self._places.give(timedelta(seconds=self._clock.monotonic() - began))
