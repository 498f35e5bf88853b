"""Drive the lanes, once or for ever. The one loop that catches what it cannot name."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from fhirbridge import log
from fhirbridge.deliver.run import Rooms, drain, next_due
from fhirbridge.errors import BridgeError
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import FencedError, LaneName

SWEEP_SECONDS = 2.0
PATIENCE = timedelta(seconds=5)

OnStep = Callable[[LaneName, str], None]


GoOn = Callable[[], bool]


def _ignore(_lane: LaneName, _step: str) -> None:
    """Nobody watches the steps."""


def _always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was done: deliveries that moved, and lanes whose run broke off."""

    settled: int
    broken: int


def sweep(rooms: Rooms, *, on_step: OnStep = _ignore, go_on: GoOn = _always) -> Swept:
    """Drain every lane that is due now; a lane that breaks off does not stop the others.

    `go_on` is asked before each delivery: where it says no, nothing more is begun.
    """
    with rooms.store.read() as tx:
        lanes = claim.due_lanes(tx, rooms.clock.now(), rooms.only)
    settled = broken = 0
    for name in lanes:
        if not go_on():
            break
        try:
            for step in drain(rooms, name, go_on=go_on):
                settled += step == "settled"
                on_step(name, step)
        except FencedError:
            log.get().info("lane.fenced", destination=name.destination)
        except BridgeError as error:
            broken += 1
            log.get().error("lane.broke_off", destination=name.destination, code=error.code)
        except Exception as error:  # noqa: BLE001  one poisoned lane must not stop the others
            broken += 1
            kind = type(error).__name__
            log.get().error("lane.broke_off", destination=name.destination, kind=kind)
    return Swept(settled=settled, broken=broken)


def until_idle(
    rooms: Rooms,
    *,
    on_step: OnStep = _ignore,
    go_on: GoOn = _always,
    patience: timedelta = PATIENCE,
) -> Swept:
    """Sweep until nothing moves, waiting for what is due again within `patience`."""
    until = rooms.clock.monotonic() + patience.total_seconds()
    settled = broken = 0
    while True:
        began = rooms.clock.now()
        swept = sweep(rooms, on_step=on_step, go_on=go_on)
        settled, broken = settled + swept.settled, broken + swept.broken
        if not go_on():
            return Swept(settled=settled, broken=broken)
        if swept.settled:
            continue
        with rooms.store.read() as tx:
            due = next_due(tx, began)  # what came due meanwhile, the sweep did not see
        wait = 0.0 if due is None else max((due - rooms.clock.now()).total_seconds(), 0.0)
        if due is None or rooms.clock.monotonic() + wait > until:
            return Swept(settled=settled, broken=broken)
        rooms.clock.sleep(wait)


class Loop:
    """Sweeps in a thread of its own until it is stopped."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="deliver", daemon=True)

    def start(self) -> None:
        """Start the thread; after a fork, never before."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """Finish the exchange that is under way, take no new one."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _goes_on(self) -> bool:
        return not self._stop.is_set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                sweep(self._rooms, go_on=self._goes_on)
            except BridgeError as error:
                log.get().error("sweep.broke_off", code=error.code)
            except Exception as error:  # noqa: BLE001  a thread that ends delivers nothing any more
                log.get().error("sweep.broke_off", kind=type(error).__name__)
            self._stop.wait(SWEEP_SECONDS)
