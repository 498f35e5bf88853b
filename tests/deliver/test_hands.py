"""R15, R16, R39: hands of its own for each destination, as many as it may have; a quick end."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fhirbridge.deliver import worker
from fhirbridge.deliver.loop import Loop
from fhirbridge.deliver.run import Rooms
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.egress.exchange import Request
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import AT_WORK, LaneName
from fhirbridge.store.engine import Store, StoreBusyError
from fhirbridge.store.tables import lane
from tests.factories import World, a_short_visit
from tests.fakes import Outcome, SandboxTransport
from tests.mapping_sets import few_mappings

PATIENTS = 6
SECONDS = 60  # to wait for another thread; none of it passes where all is well


class Door:
    """A way to an EHR at which requests can be kept waiting, and are counted."""

    def __init__(self, inner: SandboxTransport) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self.arrive: Callable[[], object] = lambda: None
        self.asked = 0
        self.inside = 0
        self.most = 0

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        with self._lock:
            self.asked += 1
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.arrive()
        with self._lock:
            self.inside -= 1
            return self._inner.send(request, deadline_seconds=deadline_seconds)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A bridge on a file, where threads meet, with two EHRs whose shared lanes are through."""
    made = World(url=f"sqlite:///{tmp_path / 'test.db'}", mapped=few_mappings)
    made.connect("ehr")
    made.connect("other")
    made.take(a_short_visit(patient="pt-0"))
    for number in range(1, PATIENTS + 1):
        made.accept(a_short_visit(patient=f"pt-{number}"))
    return made


def door(world: World, name: str) -> Door:
    made = Door(world.ehrs[name].transport)
    world.ehrs[name].transport = made  # type: ignore[assignment]
    return made


def at_once(world: World) -> Rooms:
    return replace(world.rooms, crew=worker.at_once)


class Arrivals:
    """Says when every patient's lane of a destination was through."""

    def __init__(self, destination: str) -> None:
        self._destination = destination
        self._left = PATIENTS
        self.all = threading.Event()

    def __call__(self, name: LaneName, step: str) -> None:
        self._left -= name.destination == self._destination and step == "settled"
        if not self._left:
            self.all.set()


def undelivered(world: World, destination: str) -> int:
    return sum(row.destination == destination for row in world.rows("pending", "sending"))


def test_r16_an_ehr_that_does_not_answer_holds_up_no_other(world: World) -> None:
    opened = threading.Event()
    door(world, "ehr").arrive = lambda: opened.wait(SECONDS)
    through = Arrivals("other")
    sweeping = threading.Thread(
        target=worker.sweep, args=(at_once(world),), kwargs={"on_step": through}
    )
    sweeping.start()

    assert through.all.wait(SECONDS)
    assert (undelivered(world, "ehr"), undelivered(world, "other")) == (PATIENTS, 0)

    opened.set()
    sweeping.join(SECONDS)
    assert set(world.states()) == {"delivered"}


def test_r16_the_loop_goes_on_with_new_records_of_others_while_one_does_not_answer(
    world: World,
) -> None:
    opened = threading.Event()
    slow = door(world, "ehr")
    slow.arrive = lambda: opened.wait(SECONDS)
    other, through = door(world, "other"), threading.Event()
    other.arrive = lambda: through.set() if other.asked > PATIENTS else None
    loop = Loop(world.rooms)
    loop.start()

    world.accept(a_short_visit(2, patient="pt-0"))
    arrived = through.wait(SECONDS)
    asked = slow.asked
    opened.set()
    loop.stop(SECONDS)

    assert arrived
    assert asked <= 2


def test_r15_a_destination_has_as_many_lanes_at_work_as_it_may_have(world: World) -> None:
    world.bridge.limit_destination("ehr", LimitChange(concurrent=3), actor="test")
    watched = door(world, "ehr")
    together = threading.Barrier(3, timeout=SECONDS)
    watched.arrive = together.wait

    worker.sweep(at_once(world))

    assert watched.most == 3
    assert set(world.states()) == {"delivered"}


def test_once_what_all_share_is_there_a_sweep_has_all_its_hands_at_work(tmp_path: Path) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'new.db'}", mapped=few_mappings)
    world.connect("ehr")
    for number in range(PATIENTS):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    watched = door(world, "ehr")
    together = threading.Barrier(2, timeout=SECONDS)
    watched.arrive = lambda: watched.asked == 1 or together.wait()

    worker.sweep(at_once(world))

    assert watched.most == 2
    assert set(world.states()) == {"delivered"}


def test_where_no_more_hands_can_be_hired_those_at_work_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, calls = worker.wanted, []

    def busy_later(*given: Any) -> dict[str, int]:
        calls.append(given)
        if len(calls) > 1:
            raise StoreBusyError("the database did not answer")
        return wanted(*given)

    monkeypatch.setattr(worker, "wanted", busy_later)

    worker.sweep(at_once(world))

    assert len(calls) > 1
    assert set(world.states()) == {"delivered"}


def test_r15_two_processes_share_the_limit_and_a_dead_one_gives_its_place_back(
    world: World,
) -> None:
    others = Store(str(world.store.engine.url))
    lanes = [name for name in world.lanes() if name.destination == "ehr"][:3]
    now = world.clock.now()
    with world.store.begin() as tx:
        assert claim.lease(tx, lanes[0], now) is not None
    with others.begin() as tx:
        assert claim.lease(tx, lanes[1], now) is not None
        assert claim.lease(tx, lanes[2], now) is None

        assert claim.lease(tx, lanes[2], now + AT_WORK) is not None
    others.close()


def test_r39_who_is_asked_to_end_takes_nothing_new_and_frees_what_it_has(world: World) -> None:
    opened, inside = threading.Event(), threading.Semaphore(0)
    slow = door(world, "ehr")

    def arrive() -> None:
        inside.release()
        opened.wait(SECONDS)

    slow.arrive = arrive
    loop = Loop(world.rooms)
    loop.start()
    assert inside.acquire(timeout=SECONDS)
    assert inside.acquire(timeout=SECONDS)

    loop.stop(0.2)  # the EHR does not answer in this time

    assert leased(world) == []
    asked = slow.asked
    opened.set()
    world.settle()
    assert slow.asked > asked == 2  # the two under way, then read back by who came next
    assert set(world.states()) == {"delivered"}
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}


def test_r39_a_loop_takes_nothing_once_its_process_is_to_end(world: World) -> None:
    watched = door(world, "ehr")
    looked = threading.Event()

    def is_to_end() -> bool:
        looked.set()
        return False

    loop = Loop(world.rooms, go_on=is_to_end)
    loop.start()
    assert looked.wait(SECONDS)
    loop.stop(SECONDS)

    assert watched.asked == 0


def test_r39_a_sweep_that_is_interrupted_ends_what_is_under_way_and_begins_nothing(
    world: World,
) -> None:
    watched, opened, inside = door(world, "ehr"), threading.Event(), threading.Event()

    def arrive() -> None:
        inside.set()
        opened.wait(SECONDS)

    watched.arrive = arrive

    def interrupted(tasks: Sequence[Callable[[], None]]) -> None:
        for task in tasks:
            threading.Thread(target=task).start()
        assert inside.wait(SECONDS)
        threading.Timer(0.2, opened.set).start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        worker.sweep(replace(world.rooms, crew=interrupted))

    assert watched.asked <= 2
    assert leased(world) == []
    assert world.rows("sending", "unknown") == []


def leased(world: World) -> list[LaneName]:
    with world.store.read() as tx:
        held = tx.execute(select(lane).where(lane.c.leased_until != ""))
        return [LaneName(row.destination, row.lane) for row in held]


def test_a_turn_ends_after_a_while_so_that_who_is_more_urgent_comes_first(world: World) -> None:
    world.sync()
    for number in range(2, 5):
        world.accept(a_short_visit(number, patient="pt-1"))
    world.ehr.transport.before_serving = lambda _request: world.clock.advance(
        timedelta(seconds=worker.TURN_SECONDS)
    )
    steps: list[str] = []

    worker.sweep(world.rooms, on_step=lambda name, step: steps.append(f"{name.destination} {step}"))

    assert steps.count("ehr leased") == steps.count("ehr settled") == 3
