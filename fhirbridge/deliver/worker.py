"""Drive the lanes: until nothing is due now, or for ever. The one loop that catches what it cannot name."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from fhirbridge import log
from fhirbridge.deliver.run import Rooms, drain
from fhirbridge.errors import BridgeError
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import FencedError, LaneName

SWEEP_SECONDS = 2.0
MOST_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did: lanes that were due, and lanes whose run broke off."""

    lanes: int
    broken: int


def sweep(
    rooms: Rooms, *, on_step: Callable[[LaneName, str], None] = lambda _lane, _step: None
) -> Swept:
    """Drain every lane that is due now; a lane that breaks off does not stop the others."""
    with rooms.store.read() as tx:
        lanes = claim.due_lanes(tx, rooms.clock.now())
    broken = 0
    for name in lanes:
        try:
            for step in drain(rooms, name):
                on_step(name, step)
        except FencedError:
            log.get().info("lane.fenced", destination=name.destination)
        except BridgeError as error:
            broken += 1
            log.get().error("lane.broke_off", destination=name.destination, code=error.code)
        except Exception as error:  # noqa: BLE001  one poisoned lane must not stop the others
            broken += 1
            log.get().error(
                "lane.broke_off", destination=name.destination, kind=type(error).__name__
            )
    return Swept(lanes=len(lanes), broken=broken)


def until_idle(
    rooms: Rooms,
    *,
    on_step: Callable[[LaneName, str], None] = lambda _lane, _step: None,
) -> Swept:
    """Sweep until nothing is due now. A lane that breaks off again and again is left to its lease."""
    total = broken = failures = 0
    while failures < MOST_FAILURES:
        swept = sweep(rooms, on_step=on_step)
        total, broken = total + swept.lanes, broken + swept.broken
        if not swept.lanes:
            break
        failures += 1 if swept.broken == swept.lanes else 0
    return Swept(lanes=total, broken=broken)


class Loop:
    """Sweeps in a thread of its own until it is stopped; woken at each commit that owes something."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)

    def start(self) -> None:
        """Start the thread; after a fork, never before."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something is due."""
        self._wake.set()

    def stop(self, timeout_seconds: float) -> None:
        """Finish the exchange that is under way, take no new one."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                sweep(self._rooms)
            except BridgeError as error:
                log.get().error("sweep.broke_off", code=error.code)
            self._wake.wait(SWEEP_SECONDS)
            self._wake.clear()
