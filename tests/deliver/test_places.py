"""R15: one request in each place; while one is under way the next one is made ready, and waits."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.deliver import places, run, worker
from fhirbridge.deliver.places import Places
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.outbox import claim
from fhirbridge.store.engine import Store
from tests.deliver.test_hands import PATIENTS, SECONDS, Door, at_once, door, leased
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings

SOON = timedelta(milliseconds=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A bridge on a file, where threads meet, whose EHR is asked one thing at a time."""
    made = World(url=f"sqlite:///{tmp_path / 'test.db'}", mapped=few_mappings)
    made.connect()
    made.bridge.limit_destination("ehr", LimitChange(concurrent=1), actor="test")
    for number in range(PATIENTS):
        made.accept(a_short_visit(patient=f"pt-{number}"))
    return made


def quick(lanes: int = 1) -> Places:
    """Places of an EHR that answered quickly, one for each of so many lanes."""
    made = Places()
    for number in range(lanes):
        made.join(f"lane-{number}", ahead=False, most=lanes)
    assert made.take(0)
    made.give(SOON)
    return made


def begun(world: World) -> int:
    return len(world.rows("sending"))


class Doorkeeper:
    """Keeps the second request waiting until another lane's is ready behind it, or for so long."""

    def __init__(self, world: World, watched: Door) -> None:
        self._world = world
        self._watched = watched
        self._ready = threading.Event()
        self.were_ready = 0

    def arrive(self) -> None:
        if self._watched.asked == 3:  # a patient's, after what all share and the first patient's
            assert self._ready.wait(SECONDS)
            self.were_ready = begun(self._world)

    def see(self, _name: object, step: str) -> None:
        if step == "claimed" and begun(self._world) == 2:
            self._ready.set()


def test_r15_the_next_request_is_ready_while_one_is_under_way_and_only_one_is(
    world: World,
) -> None:
    watched = door(world, "ehr")
    keeper = Doorkeeper(world, watched)
    watched.arrive = keeper.arrive

    worker.sweep(at_once(world), on_step=keeper.see)

    assert keeper.were_ready == 2
    assert watched.most == 1
    assert set(world.states()) == {"delivered"}
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}


def test_r15_what_waited_for_its_place_too_long_goes_back_in_line_unsent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "LONGEST_TURN", timedelta(seconds=0.05))
    watched, gave_up = door(world, "ehr"), threading.Event()
    watched.arrive = lambda: watched.asked != 3 or gave_up.wait(SECONDS)

    def see(_name: object, step: str) -> None:
        reasons = [row.reason for row in world.rows("pending")] if step == "settled" else []
        if any("others are being asked" in reason for reason in reasons):
            gave_up.set()

    worker.sweep(at_once(world), on_step=see)
    assert gave_up.is_set()
    world.settle()

    assert watched.most == 1
    assert set(world.states()) == {"delivered"}
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}


def test_r39_what_waits_for_its_place_begins_nothing_once_its_crew_is_to_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, leave = door(world, "ehr"), worker.leave
    over, opened = threading.Event(), threading.Event()
    watched.arrive = lambda: watched.asked != 3 or opened.wait(SECONDS)

    def see(_name: object, _step: str) -> None:
        if watched.asked == 3 and begun(world) == 2:
            over.set()

    def leaving(rooms: Any, hands: Any, crews: Any, seconds: float) -> None:
        for one in crews:
            one.close()
        opened.set()
        leave(rooms, hands, crews, seconds)

    monkeypatch.setattr(worker, "leave", leaving)
    worker.sweep(at_once(world), on_step=see, go_on=lambda: not over.is_set())

    assert over.is_set()
    assert watched.asked == 3
    assert leased(world) == []
    assert world.rows("sending", "unknown") == []


def test_r15_a_lane_that_is_ahead_takes_no_place_from_another_crew(world: World) -> None:
    world.bridge.limit_destination("ehr", LimitChange(concurrent=2), actor="test")
    mine, ahead, more, theirs = [name for name in world.lanes() if name.lane != "shared"][:4]
    now = world.clock.now()
    others = Store(str(world.store.engine.url))
    with world.store.begin() as tx:
        assert claim.lease(tx, mine, now) is not None
        assert claim.lease(tx, ahead, now, ahead=True) is not None

        own = [mine.lane, ahead.lane]
        assert claim.lease(tx, more, now, beside=own, places=2) is None
        assert claim.lease(tx, more, now, beside=own, places=1) is not None
    with others.begin() as tx:
        assert claim.lease(tx, theirs, now) is None
    others.close()


def test_a_crew_leads_only_where_the_ehr_answers_quickly() -> None:
    slow, unknown = quick(), Places()
    unknown.join("lane-0", ahead=False, most=1)
    assert slow.take(0)
    slow.give(places.QUICK)

    assert [one.may_lead for one in (quick(), slow, unknown, Places())] == [True, *[False] * 3]


def test_a_place_is_kept_while_any_lane_stands_for_it() -> None:
    crew = quick()
    crew.join("ahead", ahead=True, most=1)
    assert (crew.count, crew.may_lead) == (1, False)

    crew.leave("lane-0")
    assert (crew.count, crew.may_lead) == (1, True)

    crew.leave("ahead")
    assert (crew.count, crew.may_lead) == (0, False)


def test_a_lower_limit_takes_places_away() -> None:
    crew = quick(3)

    crew.leave("lane-0")
    crew.join("lane-3", ahead=True, most=2)

    assert crew.count == 2
    assert [crew.take(0) for _ in range(3)] == [True, True, False]


def test_a_place_goes_to_who_came_first() -> None:
    crew, came = quick(), []
    assert crew.take(0)

    def wait(name: str) -> None:
        assert crew.take(SECONDS)
        came.append(name)
        crew.give(SOON)

    waiting = []
    for name in ("first", "second", "third"):
        waiting.append(threading.Thread(target=wait, args=(name,)))
        waiting[-1].start()
        while len(crew._waiting) < len(waiting):
            threading.Event().wait(0.001)
    crew.give(SOON)
    for one in waiting:
        one.join(SECONDS)

    assert came == ["first", "second", "third"]


def test_one_that_breaks_off_is_counted_out_of_its_crew(world: World) -> None:
    rooms = replace(world.rooms, places=Places())
    assert rooms.places is not None
    name = world.shared_lane()
    steps = run.drain(rooms, name)
    assert (next(steps), rooms.places.count) == ("leased", 1)

    steps.close()  # type: ignore[attr-defined]

    assert (rooms.places.count, rooms.places.lanes) == (0, frozenset())
    assert leased(world) == [name]
