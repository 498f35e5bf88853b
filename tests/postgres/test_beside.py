"""Deliveries on PostgreSQL go beside each other: what one lane commits, no other one spoils."""

from collections.abc import Callable, Iterator
from threading import Barrier, Thread

import pytest

from fhirbridge.deliver.run import _always, _Lane
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.outbox import claim
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings
from tests.postgres.server import Server
from tests.postgres.wire import Wire

pytestmark = pytest.mark.postgres

SECONDS = 60
MANY = 8


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    made = postgres.database()
    yield made
    postgres.drop(made)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """Eight patients, of whom nothing is delivered but what all share."""
    made = World(url=url, mapped=few_mappings)
    made.connect()
    made.take(a_short_visit(patient="pt-first"))
    for number in range(MANY):
        made.accept(a_short_visit(patient=f"pt-{number}"))
    yield made
    made.store.close()


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do all of these in threads that begin together; return what they returned."""
    together, found = Barrier(len(works), timeout=SECONDS), []

    def work(one: Callable[[], object]) -> None:
        together.wait()
        found.append(one())

    threads = [Thread(target=work, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert len(found) == len(works)
    return found


def waiting_lanes(world: World) -> list[claim.LaneName]:
    with world.store.read() as tx:
        return claim.due_lanes(tx, world.clock.now())


def test_p03_of_eight_who_want_one_lane_at_once_one_gets_it(world: World) -> None:
    name = waiting_lanes(world)[0]

    took = at_once(*(_Lane(world.rooms, name, _always).take for _ in range(MANY)))

    assert took.count(True) == 1


def test_r15_of_eight_lanes_that_are_taken_at_once_as_many_are_as_may_be(world: World) -> None:
    world.bridge.limit_destination("ehr", LimitChange(concurrent=3), actor="test")
    lanes = [_Lane(world.rooms, name, _always) for name in waiting_lanes(world)]

    took = at_once(*(one.take for one in lanes))

    assert (len(lanes), took.count(True)) == (MANY, 3)


@pytest.mark.parametrize("arrives", [True, False])
def test_p13_a_delivery_whose_last_commit_is_in_doubt_is_read_back_and_sent_once(
    url: str, *, arrives: bool
) -> None:
    with Wire(url) as wire:
        world = World(url=wire.url, mapped=few_mappings)
        world.connect()
        world.take(a_short_visit(patient="pt-first"))
        world.accept(a_short_visit(patient="pt-1"))

        def cut_once(_request: object) -> None:
            world.ehr.transport.before_serving = lambda _request: None
            wire.cut_at_commit(arrives=arrives)  # the next one says what the EHR answered

        world.ehr.transport.before_serving = cut_once
        world.sync()
        waiting = [row.state for row in world.rows() if row.state != "delivered"]
        world.settle(days=1)

        assert waiting == ([] if arrives else ["sending"])
        assert set(world.states()) == {"delivered"}
        assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}
        world.store.close()
