"""Look at every EHR again and again, in a thread of its own: a slow one delays no delivery.

Where an EHR tells that something changed, its next look is not waited for.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from fhirbridge import log
from fhirbridge.deliver import stopping
from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr import probe
from fhirbridge.errors import BridgeError
from fhirbridge.reconcile import stops
from fhirbridge.reconcile.act import Rooms
from fhirbridge.reconcile.desk import Reconcile
from fhirbridge.store import moment
from fhirbridge.subscriptions.desk import Subscriptions

HEARD_EACH_SECONDS = 1.0  # so often it is seen whether an EHR told of anything
FULL_EVERY = timedelta(days=1)
TEST_EVERY = timedelta(hours=1)
ACTOR = "watch"


class Watch:
    """Looks every so many seconds until it is stopped; says when trouble begins and ends."""

    def __init__(self, rooms: Rooms, *, seconds: float) -> None:
        self._rooms = rooms
        self._seconds = seconds
        self._desk = Reconcile(rooms)
        self._subscriptions = Subscriptions(
            store=rooms.store,
            clock=rooms.clock,
            rng=rooms.rng,
            vault=rooms.vault,
            audit=rooms.audit,
            ehr_for=rooms.ehr_for,
        )
        self._troubled: dict[str, str] = {}
        self._broke_off = ""
        self._tested: dict[str, datetime] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def start(self) -> None:
        """Start the thread; after a fork, never before."""
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        """End after the destination that is looked at."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def round(self) -> None:
        """Look at each destination once; one that cannot be looked at stops no other."""
        self._desk.begin()
        self._desk.catch_up()
        with self._rooms.store.read() as tx:
            known = registry.every(tx)
            states = {one.name: stops.state(tx, one.name) for one in known}
        for one in known:
            if self._stop.is_set():
                return
            if _may_be_looked_at(one, states[one.name]):
                self._look(one, full=self._is_old(states[one.name].swept_at))

    def hear(self) -> None:
        """Look at each destination that told of a change, where that look is due."""
        for name in self._subscriptions.due():
            with self._rooms.store.read() as tx:
                one, state = registry.find(tx, name), stops.state(tx, name)
            if self._stop.is_set():
                return
            if self._subscriptions.take(name) and one and _may_be_looked_at(one, state):
                self._look(one, full=False)

    def _is_old(self, swept_at: str) -> bool:
        now = self._rooms.clock.now()
        return not swept_at or moment.from_text(swept_at) + FULL_EVERY <= now

    def _look(self, known: Destination, *, full: bool) -> None:
        name, trouble = known.name, ""
        try:
            self._test(known)
            self._subscriptions.answer(name)  # who tells of a change from now on is heard again
            self._desk.run(name, full=full)
            self._subscriptions.check(name)
        except BridgeError as error:
            trouble = error.code
        except Exception as error:  # noqa: BLE001  a thread that ends watches nothing any more
            trouble = type(error).__name__
        if trouble and name not in self._troubled:
            log.get().error("reconcile.broke_off", destination=name, code=trouble)
        elif not trouble and name in self._troubled:
            log.get().info("reconcile.goes_on", destination=name)
        self._troubled = {**self._troubled, name: trouble}
        if not trouble:
            del self._troubled[name]

    def _test(self, known: Destination) -> None:
        """Once an hour, see whether it still promises what was probed; pause it where not."""
        now = self._rooms.clock.now()
        before = self._tested.get(known.name)
        if known.paused or (before is not None and before <= now < before + TEST_EVERY):
            return
        self._tested[known.name] = now
        tested = probe.test(self._rooms.ehr_for(known), known.traits)
        if tested.unchanged is False:
            with self._rooms.store.begin() as tx:
                stopping.note_test(tx, self._rooms.audit, known.name, tested, actor=ACTOR)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._safely(self.round)
            until = self._rooms.clock.monotonic() + self._seconds
            while (left := until - self._rooms.clock.monotonic()) > 0:
                if self._stop.wait(min(left, HEARD_EACH_SECONDS)):
                    return
                self._safely(self.hear)

    def _safely(self, work: Callable[[], None]) -> None:
        """Do it, and say what broke it off: once, and not each second while that lasts."""
        trouble = ""
        try:
            work()
        except BridgeError as error:
            trouble = error.code
        except Exception as error:  # noqa: BLE001  as above
            trouble = type(error).__name__
        if trouble and trouble != self._broke_off:
            log.get().error("reconcile.broke_off", code=trouble)
        self._broke_off = trouble


def _may_be_looked_at(one: Destination, state: stops.State) -> bool:
    waits_for_a_person = state.stop.startswith(stops.RESTORED)
    return one.mode not in (Mode.UNPROVEN, Mode.FACADE) and not waits_for_a_person
