"""Whatever a transport does to a request, each resource ends up in the EHR exactly once."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.deliver.lost_answers import lost_answers
from tests.factories import World, a_short_visit, amended
from tests.fakes import Fault, Says, Trouble

TROUBLES: list[list[Trouble]] = [
    [],
    [Fault.NOT_SENT],
    [Fault.DROPPED],
    [Fault.LOST],
    [Fault.LATE],
    [Fault.NOT_SENT, Fault.LOST],
    [Fault.LOST, Fault.DROPPED],
    [Fault.LOST, Fault.LOST],
    [Fault.LOST, Fault.NOT_SENT, Says(status=503)],
    [Fault.DROPPED, Fault.DROPPED, None, Fault.LOST],
    [Says(status=500)],
    [Says(status=502), Says(status=502)],
    [Says(status=429, headers={"retry-after": "30"})],
    [Says(status=200, body=b"<html>sign in</html>")],
    [Says(status=200, body=b'{"resourceType":"OperationOutcome","issue":[]}')],
    [Says(status=200, body=b'{"resourceType":"Bundle","entry":[]}')],
    [Says(status=409)],
    [Says(status=412)],
]


@pytest.fixture
def world(either: str) -> Iterator[World]:
    """A bridge with one EHR, `ehr`, on each database."""
    made = World(url=either)
    made.connect()
    yield made
    made.store.close()


@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
def test_after_any_trouble_each_resource_is_there_once(
    world: World, trouble: list[Trouble]
) -> None:
    world.ehr.transport.script = [*trouble]

    world.take(a_short_visit())
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert {len(world.ehr.history(reference)) for reference in world.ehr.references()} == {1}


@pytest.mark.parametrize("trouble", TROUBLES, ids=repr)
def test_after_any_trouble_an_amendment_makes_one_more_version(
    world: World, trouble: list[Trouble]
) -> None:
    record = a_short_visit()
    pulse = world.of_mapping(world.take(record), "vital-heart-rate")[0]
    world.ehr.transport.script = [*trouble]

    world.take(amended(record, lambda r: r["vitals"][0]["heart_rate"].update(value=90)))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert len(world.ehr.history(pulse)) == 2


def test_a_late_copy_changes_nothing(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    world.ehr.transport.script = [Fault.LATE]
    world.take(amended(record, lambda r: r["vitals"][0]["heart_rate"].update(value=90)))
    world.settle()
    before = world.ehr.model.snapshot()

    statuses = world.ehr.transport.land_late()

    assert statuses == [409]
    assert world.ehr.model.snapshot() == before


def test_a_second_sync_asks_the_ehr_nothing(world: World) -> None:
    world.take(a_short_visit())
    world.ehr.transport.sent.clear()

    world.clock.advance(timedelta(days=1))
    world.sync()

    assert world.ehr.transport.sent == []


LOST = 40


def test_r07_answers_that_are_lost_again_and_again_double_nothing_and_lose_nothing() -> None:
    found = lost_answers(LOST)

    assert found == []


def test_a_lost_answer_to_a_read_back_is_asked_for_again(world: World) -> None:
    world.ehr.transport.script = [None, Fault.LOST, Fault.LOST, Fault.DROPPED, Fault.LOST]

    world.take(a_short_visit())
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}
