"""Look at every EHR again and again, in a thread of its own: a slow one delays no delivery."""

import threading
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

FULL_EVERY = timedelta(days=1)
TEST_EVERY = timedelta(hours=1)
ACTOR = "watch"


class Watch:
    """Looks every so many seconds until it is stopped; says when trouble begins and ends."""

    def __init__(self, rooms: Rooms, *, seconds: float) -> None:
        self._rooms = rooms
        self._seconds = seconds
        self._desk = Reconcile(rooms)
        self._troubled: dict[str, str] = {}
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
            waits_for_a_person = states[one.name].stop.startswith(stops.RESTORED)
            if self._stop.is_set():
                return
            if one.mode not in (Mode.UNPROVEN, Mode.FACADE) and not waits_for_a_person:
                self._look(one, full=self._is_old(states[one.name].swept_at))

    def _is_old(self, swept_at: str) -> bool:
        now = self._rooms.clock.now()
        return not swept_at or moment.from_text(swept_at) + FULL_EVERY <= now

    def _look(self, known: Destination, *, full: bool) -> None:
        name, trouble = known.name, ""
        try:
            self._test(known)
            self._desk.run(name, full=full)
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
            try:
                self.round()
            except BridgeError as error:
                log.get().error("reconcile.broke_off", code=error.code)
            except Exception as error:  # noqa: BLE001  as above
                log.get().error("reconcile.broke_off", kind=type(error).__name__)
            self._stop.wait(self._seconds)
