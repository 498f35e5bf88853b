"""P6, P15, R18, R33: nothing depends on a wake-up, on one process's own clock, or on a restart."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.deliver import worker
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.outbox.selection import Selection
from fhirbridge.store import tables
from tests.deliver.refusing import NO
from tests.factories import A_DAY, World, a_short_visit
from tests.fakes import Fault, FrozenClock, Says
from tests.mapping_sets import few_mappings

UPTIME = 987_654_321.0  # seconds: no time and no count of a test looks like it


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def is_there_once(world: World) -> bool:
    versions = {len(world.ehr.history(one)) for one in world.ehr.references()}
    return set(world.states()) == {"delivered"} and versions == {1}


@pytest.mark.parametrize("trouble", [Fault.NOT_SENT, Fault.DROPPED, NO])
def test_p06_after_a_boot_the_clock_of_a_process_begins_anew_and_nothing_was_kept_of_it(
    world: World, trouble: Fault | Says
) -> None:
    world.clock._ran = UPTIME
    for number in range(4):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.ehr.transport.choose = lambda _request: trouble
    world.sync()
    with world.store.read() as tx:
        kept = [repr(tx.execute(select(one)).all()) for one in tables.metadata.sorted_tables]

    world.clock = FrozenClock(world.clock.now())
    world.bridge = world._open()
    world.ehr.transport.choose = lambda _request: None
    world.retry()
    world.settle(days=1)

    assert [one for one in kept if str(int(UPTIME)) in one] == []
    assert is_there_once(world)


def test_p15_what_another_process_took_in_is_found_without_a_word(tmp_path: Path) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'test.db'}", mapped=few_mappings)
    world.connect()
    other = world._open()
    other.accept(_raw("pt-1"), actor="test")

    worker.sweep(world.rooms)

    assert is_there_once(world)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=9)])
@pytest.mark.parametrize("times", [1, 5])
def test_p15_a_sweep_that_comes_again_or_days_late_does_what_is_due_once(
    world: World, late: timedelta, times: int
) -> None:
    for number in range(3):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.clock.advance(late)

    for _ in range(times):
        worker.sweep(world.rooms)
    asked = len(world.ehr.transport.sent)
    worker.sweep(world.rooms)

    assert is_there_once(world)
    assert len(world.ehr.transport.sent) == asked == 4


def test_r18_a_pause_outlives_a_restart_and_what_is_resumed_goes_once(world: World) -> None:
    world.accept(a_short_visit())
    stopped = Stopped("ehr", ANY)
    world.bridge.pause(stopped, actor="test")

    world.bridge = world._open()
    world.settle()
    assert world.ehr.transport.sent == []

    world.bridge.resume(stopped, actor="test")
    world.settle()
    assert is_there_once(world)


def test_r33_of_a_year_only_the_rows_of_the_day_are_considered(world: World) -> None:
    assert one_day_of(world, 20) == (1, 0, 1)


def one_day_of(world: World, days: int) -> tuple[int, int, int]:
    """Take in a record a day, then look at one day of them.

    Return how many records a replay considers, what it sends, and how many a plan considers.
    """
    began = world.clock.now()
    for number in range(days):
        world.take(a_short_visit(patient=f"pt-{number}"))
        world.clock.advance(A_DAY)
    world.ehr.transport.sent.clear()
    day: datetime = began + (days // 2) * A_DAY
    replayed = world.bridge.replay(
        Selection(received_from=day, received_before=day + A_DAY), parked=False, actor="test"
    )
    world.sync()
    sent = len(world.ehr.transport.sent)
    world.connect("new")
    planned = world.bridge.plan(Selection(received_from=day, received_before=day + A_DAY))
    of_the_day = [one for one in planned.deliveries if one.lane != SHARED_LANE]
    return replayed.considered, sent, len(of_the_day)


def _raw(patient: str) -> bytes:
    return codec.encode(a_short_visit(patient=patient))
