"""Deliver in the background, for ever: look where something is due, and hire hands for it."""

import threading
from collections import defaultdict
from collections.abc import Callable, Container

from fhirbridge import log
from fhirbridge.deliver.places import Places
from fhirbridge.deliver.run import Rooms
from fhirbridge.deliver.worker import (
    SWEEP_SECONDS,
    WATCH_SECONDS,
    GoOn,
    Hand,
    Task,
    always,
    leave,
    lively,
    wanted,
)
from fhirbridge.errors import BridgeError
from fhirbridge.outbox import waking


class Loop:
    """Delivers in threads of its own until it is stopped; it never waits for an EHR itself."""

    def __init__(
        self, rooms: Rooms, *, go_on: GoOn = always, watch: Callable[[], None] = lambda: None
    ) -> None:
        """`go_on` says no once the process is to end; `watch` is called twice a minute."""
        self._rooms = rooms
        self._wanted = go_on
        self._stop = threading.Event()
        # Apart from each other: who watches may wait for whom it tells.
        self._threads = [
            threading.Thread(target=self._run, args=(*work,), name="deliver", daemon=True)
            for work in ((self._tick, SWEEP_SECONDS), (watch, WATCH_SECONDS), (self._answer, 0.0))
        ]
        self._hiring = threading.Lock()
        self._hands: dict[str, list[Hand]] = {}
        self._places: defaultdict[str, Places] = defaultdict(Places)
        self._woken: set[str] = set()
        self._bell = threading.Event()
        self._lively: set[str] = set()  # destinations that are looked at with each tick
        self._ticks = 0
        self._ticks_of_a_sweep = max(round(rooms.waking.sweep_seconds / SWEEP_SECONDS), 1)

    def start(self) -> None:
        """Start the threads; after a fork, never before."""
        self._rooms.waking.listen(self.look)
        for thread in self._threads:
            thread.start()

    def look(self, destination: str) -> None:
        """Look at once what is due there; from any thread."""
        self._woken.add(destination)
        self._bell.set()

    def stop(self, timeout_seconds: float) -> None:
        """Take nothing new, wait for the exchanges under way, then give back every lane."""
        self._stop.set()
        self._bell.set()
        until = self._rooms.clock.monotonic() + timeout_seconds
        self._rooms.waking.stop()
        for thread in (self._threads[0], self._threads[2]):
            thread.join(max(until - self._rooms.clock.monotonic(), 0))
        hands = [one for crew in self._hands.values() for one in crew]
        left = until - self._rooms.clock.monotonic()
        leave(self._rooms, hands, list(self._places.values()), left)

    def _goes_on(self) -> bool:
        return self._wanted() and not self._stop.is_set()

    def _run(self, work: Task, seconds: float) -> None:
        while self._goes_on():
            try:
                work()
            except BridgeError as error:
                log.get().error("sweep.broke_off", code=error.code)
            except Exception as error:  # noqa: BLE001  a thread that ends delivers nothing any more
                log.get().error("sweep.broke_off", kind=type(error).__name__)
            self._stop.wait(seconds)

    def _tick(self) -> None:
        """Look at everything where it is time for it, else where something goes on."""
        with self._hiring:
            everything = self._ticks % self._ticks_of_a_sweep == 0
            self._ticks += 1
            at = None if everything else self._lively
            self._hire(at)
            if self._ticks_of_a_sweep > 1:
                self._lively = lively(self._rooms, at)

    def _answer(self) -> None:
        """Wait for wake-ups, and look there.

        Once more at the next tick: who wakes while another wake-up is on its way is not told apart
        from it, and may commit after that one was heard.
        """
        self._bell.wait()
        self._bell.clear()
        woken = set()
        while self._woken:  # one by one: others add to it meanwhile
            woken.add(self._woken.pop())
        if woken and self._goes_on():
            with self._hiring:
                self._lively |= woken
                self._hire(None if waking.EVERYWHERE in woken else woken)

    def _hire(self, at: Container[str] | None) -> None:
        """Bring each destination to as many hands as it has work for, within its limit."""
        for name, hands in self._hands.items():
            self._hands[name] = [hand for hand in hands if not hand.over.is_set()]
        busy = {name: len(hands) for name, hands in self._hands.items()}
        for name, count in wanted(self._rooms, busy, self._places, at=at).items():
            for _ in range(count):
                hand = Hand(self._rooms, name, places=self._places[name], go_on=self._goes_on)
                self._hands.setdefault(name, []).append(hand)
                threading.Thread(target=hand.work, name="deliver", daemon=True).start()
