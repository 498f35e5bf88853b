"""Who delivers in the same process is woken at the commit, and at no other time."""

import pytest
from sqlalchemy import Connection

from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.store import after
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def heard_by(world: World) -> list[str]:
    heard: list[str] = []
    world.waking.listen(heard.append)
    return heard


def test_a_record_wakes_after_its_commit(world: World) -> None:
    heard = heard_by(world)
    with world.store.begin() as tx:
        world.waking.wake(tx, "ehr", "lane")
        during = list(heard)

    assert during == []
    assert heard == ["ehr"]


def test_what_was_taken_back_wakes_nobody_not_even_at_the_next_commit(world: World) -> None:
    heard = heard_by(world)

    def work(tx: Connection) -> None:
        world.waking.wake(tx, "ehr", "lane")
        raise KeyError

    with pytest.raises(KeyError):
        world.store.commit(work)
    with world.store.begin():
        pass

    assert heard == []


def test_each_lane_that_is_owed_something_is_woken(world: World) -> None:
    heard = heard_by(world)

    world.accept(a_short_visit())

    assert heard == ["ehr", "ehr"]  # what all share, and the patient's


def test_what_is_put_back_or_resumed_is_woken(world: World) -> None:
    world.accept(a_short_visit())
    world.bridge.pause(Stopped("ehr", ANY), actor="test")
    heard = heard_by(world)

    world.bridge.resume(Stopped("ehr", ANY), actor="test")
    world.bridge.resume(Stopped("ehr", ANY), actor="test")

    assert heard == ["ehr"]


def test_who_listens_no_more_hears_nothing(world: World) -> None:
    heard = heard_by(world)
    world.waking.stop()

    world.accept(a_short_visit())

    assert heard == []


def test_what_is_to_be_done_after_a_commit_is_done_once(world: World) -> None:
    done: list[str] = []
    for name in ("one", "two"):
        with world.store.begin() as tx:
            after.commit(tx, lambda name=name: done.append(name))  # type: ignore[misc]

    assert done == ["one", "two"]
