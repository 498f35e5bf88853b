"""O28: a backlog fills the disk; a person is told, and intake ends before the disk is full."""

from collections.abc import Callable

import pytest

from fhirbridge.fhir import codec
from fhirbridge.store.room import NoRoomError, Room
from tests.factories import A_DAY, LEAST_FREE, World, a_short_visit
from tests.fakes import Fault
from tests.mapping_sets import few_mappings
from tests.records.test_stock import a_stock

FULL = LEAST_FREE // 10


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def leave(world: World, free: int) -> None:
    world.room = Room(free=free, used=1_000_000)


def told(world: World) -> list[tuple[str, str]]:
    """Look once more; what of the disk was told until now."""
    world.bridge.check_alerts()
    return [(one["cause"], one["what"]) for one in world.told if one["kind"] == "disk"]


def test_o28_room_that_runs_out_is_told_once_at_its_start_and_once_at_its_end(
    world: World,
) -> None:
    leave(world, LEAST_FREE)
    before = told(world)
    leave(world, LEAST_FREE - 1)
    began, still = told(world), told(world)
    leave(world, 2 * LEAST_FREE)

    assert before == []
    assert began == still == [("low", "started")]
    assert told(world) == [("low", "started"), ("low", "ended")]


def test_o28_room_that_comes_and_goes_about_the_limit_is_told_once(world: World) -> None:
    for free in (LEAST_FREE - 1, LEAST_FREE + 1, LEAST_FREE - 1, LEAST_FREE + 1):
        leave(world, free)
        assert told(world) == [("low", "started")]


def test_o28_that_nothing_is_taken_in_is_told_as_well(world: World) -> None:
    leave(world, FULL - 1)

    assert told(world) == [("low", "started"), ("full", "started")]


def take_a_record(world: World) -> None:
    world.accept(a_short_visit(2))


def take_stock(world: World) -> None:
    world.bridge.accept_stock(codec.encode(a_stock()), actor="test")


def take_nonsense(world: World) -> None:
    world.bridge.accept(b"{", actor="test")


@pytest.mark.parametrize("take", [take_a_record, take_stock, take_nonsense])
def test_o28_before_the_disk_is_full_nothing_is_taken_in_and_nothing_is_stored(
    world: World, take: Callable[[World], None]
) -> None:
    leave(world, FULL - 1)
    before = (world.bridge.status(), len(world.bridge.stock()), world.evidence("record.refused"))

    with pytest.raises(NoRoomError) as refused:
        take(world)

    assert refused.value.http_status == 503
    after = (world.bridge.status(), len(world.bridge.stock()), world.evidence("record.refused"))
    assert after == before


def test_o28_what_is_owed_goes_on_while_nothing_is_taken_in(world: World) -> None:
    receipt = world.accept(a_short_visit())
    leave(world, FULL - 1)

    world.sync()

    assert set(world.states()) == {"delivered"}
    assert world.bridge.record(receipt.id, actor="test") is not None


def test_o28_a_backlog_of_three_days_ends_at_the_alarm_and_drains_when_there_is_room(
    world: World,
) -> None:
    """Each record takes room; the EHR is down. What was acknowledged arrives, in order, once."""
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    free = 4 * LEAST_FREE
    taken, refused = [], 0
    for number in range(1, 22):
        leave(world, free)
        try:
            taken.append(world.accept(a_short_visit(number)).id)
            free -= LEAST_FREE // 4
        except NoRoomError:
            refused += 1
        world.clock.advance(A_DAY / 7)
        world.sync()

    assert (len(taken), refused) == (16, 5)
    assert told(world) == [("low", "started"), ("full", "started")]

    world.ehr.transport.choose = lambda _request: None
    leave(world, 4 * LEAST_FREE)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert len(world.ehr.all_of("Observation")) == len(taken)
    assert told(world)[2:] == [("low", "ended"), ("full", "ended")]


def test_o28_status_says_how_much_is_free_and_how_many_days_like_the_last_it_lasts(
    world: World,
) -> None:
    empty = world.bridge.status().disk
    for number in (1, 2):
        world.accept(a_short_visit(number))
    world.clock.advance(2 * A_DAY)
    for number in (3, 4):
        world.accept(a_short_visit(number))
    leave(world, 12_000_000)  # a record has taken 250,000, and two came in a day

    assert empty == {"free_mb": None, "least_mb": 1000, "lasts_days": None}
    assert world.bridge.status().disk == {"free_mb": 12, "least_mb": 1000, "lasts_days": 24}
    assert world.bridge.disk().found == "12 MB free, about 24 days as the last one was"
    assert not world.bridge.disk().good


def test_o28_without_a_record_of_the_last_day_nobody_says_how_long_it_lasts(world: World) -> None:
    world.accept(a_short_visit())
    world.clock.advance(2 * A_DAY)
    leave(world, 2 * LEAST_FREE)

    assert world.bridge.status().disk["lasts_days"] is None
    assert world.bridge.disk().good
