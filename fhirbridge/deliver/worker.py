"""Drive the lanes, once or for ever. The one loop that catches what it cannot name.

Each destination has hands of its own, so that a slow one holds up nobody else.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from fhirbridge import log
from fhirbridge.deliver import traffic
from fhirbridge.deliver.due import is_due, next_due
from fhirbridge.deliver.places import Placed, Places
from fhirbridge.deliver.run import Rooms, drain
from fhirbridge.destinations import registry
from fhirbridge.errors import BridgeError
from fhirbridge.outbox import claim, pauses, waking
from fhirbridge.outbox.claim import FencedError, LaneName

SWEEP_SECONDS = waking.SWEEP_SECONDS
WATCH_SECONDS = 30.0
PATIENCE = timedelta(seconds=5)
# After so long a lane is given back, and whoever comes before it has its turn.
TURN_SECONDS = 5.0
LOOK_SECONDS = 0.5
# After each delivery that needed no request: an EHR's answer gives others no time to write.
GIVE_WAY_SECONDS = 0.002
GRACE_SECONDS = 20.0  # to end what is under way, when the process is asked to end

OnStep = Callable[[LaneName, str], None]
Task = Callable[[], None]
Crew = Callable[[Sequence[Task]], None]
GoOn = Callable[[], bool]


def _ignore(_lane: LaneName, _step: str) -> None:
    """Nobody watches the steps."""


def always() -> bool:
    """Go on."""
    return True


def in_turn(tasks: Sequence[Task]) -> None:
    """Do one after the other, in this thread: for a test that owns the clock."""
    for task in tasks:
        task()


def at_once(tasks: Sequence[Task]) -> None:
    """Begin all, each in a thread of its own; return at once."""
    for task in tasks:
        threading.Thread(target=task, name="deliver", daemon=True).start()


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What was done: deliveries that moved, and lanes whose run broke off."""

    settled: int
    broken: int


def sweep(rooms: Rooms, *, on_step: OnStep = _ignore, go_on: GoOn = always) -> Swept:
    """Drain every lane that is due; a lane that breaks off does not stop the others.

    `go_on` is asked before each delivery: where it says no, nothing more is begun.
    """
    stopped, moved, lock = threading.Event(), threading.Event(), threading.Lock()
    hands: list[Hand] = []
    places: defaultdict[str, Places] = defaultdict(Places)

    def goes_on() -> bool:
        return go_on() and not stopped.is_set()

    def told(name: LaneName, step: str) -> None:
        with lock:
            on_step(name, step)

    def hire() -> None:
        busy = Counter(hand.destination for hand in hands if not hand.over.is_set())
        new = [
            Hand(rooms, name, places=places[name], on_step=told, go_on=goes_on, moved=moved)
            for name, count in wanted(rooms, busy, places).items()
            for _ in range(count)
        ]
        hands.extend(new)
        rooms.crew([hand.work for hand in new])

    try:
        hire()
        settled = 0
        while not all(hand.over.is_set() for hand in hands) and goes_on():
            moved.wait(LOOK_SECONDS)
            moved.clear()
            now = sum(hand.settled for hand in hands)
            if now > settled:  # what was settled, such as what all share, lets others go
                settled = now
                try:
                    hire()
                except BridgeError as error:  # those at work go on
                    log.get().error("sweep.broke_off", code=error.code)
    finally:  # also where somebody wants the process to end
        stopped.set()
        leave(rooms, hands, places.values(), GRACE_SECONDS)
    return Swept(
        settled=sum(hand.settled for hand in hands), broken=sum(hand.broken for hand in hands)
    )


def wanted(
    rooms: Rooms,
    busy: Mapping[str, int],
    places: Mapping[str, Places],
    *,
    at: Container[str] | None = None,
) -> dict[str, int]:
    """Say how many hands more each destination has work for now, within its limit.

    One more where it can have the next request ready. `at` names the destinations that are looked
    at; None for all.
    """
    found = {}
    with rooms.store.read() as tx:
        now = rooms.clock.now()
        for one in registry.every(tx):
            if at is not None and one.name not in at:
                continue
            ahead = places[one.name].ahead if one.name in places else 0
            at_work = max(busy.get(one.name, 0), claim.at_work(tx, one.name, now))
            free = one.limits.concurrent + ahead - at_work
            if free > 0 and not one.paused and traffic.closed(tx, one, now) is None:
                due = claim.due_lanes(tx, now, destination=one.name, most=free, only=rooms.only)
                found[one.name] = len(due)
    return found


def lively(rooms: Rooms, at: Container[str] | None) -> set[str]:
    """Say of these destinations, or of all, where something goes before the next sweep."""
    with rooms.store.read() as tx:
        until = rooms.clock.now() + timedelta(seconds=rooms.waking.sweep_seconds)
        return {
            one.name
            for one in registry.every(tx)
            if (at is None or one.name in at) and is_due(tx, one, until)
        }


def leave(rooms: Rooms, hands: Sequence["Hand"], places: Iterable[Places], seconds: float) -> None:
    """Wait for the exchanges under way, then give back every lane.

    What had no end by then is uncertain: whoever takes its lane reads back first.
    """
    for one in places:
        one.close()
    until = rooms.clock.monotonic() + seconds
    for hand in hands:
        hand.over.wait(max(until - rooms.clock.monotonic(), 0))
    for hand in hands:
        hand.give_back()


class Hand:
    """Drains lanes of one destination, the most urgent first, until none is due."""

    def __init__(
        self,
        rooms: Rooms,
        destination: str,
        *,
        places: Places,
        on_step: OnStep = _ignore,
        go_on: GoOn = always,
        moved: threading.Event | None = None,
    ) -> None:
        """Do nothing yet.

        `places` are its crew's; `moved` is set after each lane and at the end.
        """
        self._rooms = replace(
            rooms,
            places=places,
            ehr_for=lambda known: rooms.ehr_for(known).through(
                lambda inner: Placed(places, rooms.clock, inner, may_go=self._is_going)
            ),
        )
        self.destination = destination
        self._moved = moved or threading.Event()
        self._on_step = on_step
        self._go_on = go_on
        self._barren: set[LaneName] = set()  # nothing came of them: not looked at again
        self._leased: tuple[LaneName, int] | None = None  # with its fence
        self._missed: LaneName | None = None  # could not be had
        self._asked = False
        self.over = threading.Event()
        self.settled = 0
        self.broken = 0

    def work(self) -> None:
        """Drain one lane after the other; what breaks off is told, without its text."""
        try:
            while self._go_on():
                name = None
                with self._told("sweep.broke_off"):
                    name = self._next()
                if name is None or name == self._missed:
                    return  # where it is free and cannot be had, no lane can
                with self._told("lane.broke_off"):
                    self._drain(name)
        finally:
            self.over.set()
            self._moved.set()

    def _is_going(self) -> bool:
        """Say whether nobody paused or removed the destination since the request was made ready."""
        with self._rooms.store.read() as tx:
            known = registry.find(tx, self.destination)
            return known is not None and not known.paused and not pauses.is_put(tx, known.name, "")

    def give_back(self) -> None:
        """Free the lane of an exchange that had no end yet."""
        if self._leased is not None and not self.over.is_set():
            with self._told("lane.kept"), self._rooms.store.begin() as tx:
                claim.release(tx, *self._leased)

    def _next(self) -> LaneName | None:
        rooms = self._rooms
        with rooms.store.read() as tx:
            now = rooms.clock.now()
            destination = registry.find(tx, self.destination)
            if destination is None or traffic.closed(tx, destination, now) is not None:
                return None
            most = destination.limits.concurrent + (rooms.places.ahead if rooms.places else 0)
            if claim.at_work(tx, self.destination, now) >= most:
                return None  # others have them all: each of their hands goes on by itself
            most = len(self._barren) + 1
            due = claim.due_lanes(tx, now, destination=self.destination, most=most, only=rooms.only)
        return next((name for name in due if name not in self._barren), None)

    def _drain(self, name: LaneName) -> None:
        clock, before = self._rooms.clock, self.settled
        until = clock.monotonic() + TURN_SECONDS

        def goes_on() -> bool:
            return self._go_on() and clock.monotonic() < until

        try:
            for step in drain(self._rooms, name, go_on=goes_on):
                self._note(name, step)
        finally:
            self._missed = name if self._leased is None else None
            self._leased = None
            if self.settled == before and name != self._missed:
                self._barren.add(name)
            self._moved.set()

    def _note(self, name: LaneName, step: str) -> None:
        if step == "leased":
            with self._rooms.store.read() as tx:
                self._leased = (name, claim.fence_of(tx, name))
        if step == "settled":
            self.settled += 1
            if not self._asked:
                self._rooms.clock.sleep(GIVE_WAY_SECONDS)
        self._asked = step == "answered"
        self._on_step(name, step)

    @contextmanager
    def _told(self, event: str) -> Iterator[None]:
        try:
            yield
        except FencedError:
            log.get().info("lane.fenced", destination=self.destination)
        except BridgeError as error:
            self.broken += 1
            log.get().error(event, destination=self.destination, code=error.code)
        except Exception as error:  # noqa: BLE001  one poisoned lane must not stop the others
            self.broken += 1
            kind = type(error).__name__
            log.get().error(event, destination=self.destination, kind=kind)


def until_idle(
    rooms: Rooms,
    *,
    on_step: OnStep = _ignore,
    go_on: GoOn = always,
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


def now_and_then(rooms: Rooms, watch: Task, on_step: OnStep) -> OnStep:
    """Return a watcher of steps that also calls `watch`, twice a minute while steps are made."""
    last = rooms.clock.monotonic()

    def step_made(name: LaneName, step: str) -> None:
        nonlocal last
        on_step(name, step)
        if rooms.clock.monotonic() - last >= WATCH_SECONDS:
            last = rooms.clock.monotonic()
            try:
                watch()
            except BridgeError as error:
                log.get().error("watch.broke_off", code=error.code)

    return step_made
