"""When a token was last used is stored, at most once an hour, and never in anybody's way."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event

from fhirbridge.access.tokens import Role
from fhirbridge.store.errors import StoreBusyError
from tests.factories import World
from tests.mapping_sets import few_mappings


@pytest.fixture
def world() -> Iterator[World]:
    made = World(mapped=few_mappings)
    yield made
    made.store.close()


def used(world: World) -> list[str]:
    return [one["last_used_at"] for one in world.bridge.list_tokens()]


def test_the_first_use_is_stored_and_then_one_an_hour(world: World) -> None:
    secret = world.bridge.make_token(name="a", role=Role.OPERATOR, actor="test")
    found = [used(world)]

    for minutes in (0, 30, 29, 1, 61):
        world.clock.advance(timedelta(minutes=minutes))
        assert world.bridge.authenticate(secret) is not None
        found.append(used(world))

    first, second, third = (f"2026-05-04T{at}:00.000000Z" for at in ("09:00", "10:00", "11:01"))
    assert found == [[""], [first], [first], [first], [second], [third]]


def test_of_a_thousand_requests_one_writes(world: World) -> None:
    secret = world.bridge.make_token(name="a", role=Role.OPERATOR, actor="test")
    begun: list[str] = []
    event.listen(
        world.store.engine,
        "before_cursor_execute",
        lambda _c, _x, statement, *_: begun.append(statement),
    )

    for _ in range(1000):
        world.bridge.authenticate(secret)

    assert len([one for one in begun if one.startswith("UPDATE")]) == 1


def test_another_process_does_not_store_it_again(world: World) -> None:
    secret = world.bridge.make_token(name="a", role=Role.OPERATOR, actor="test")
    world.bridge.authenticate(secret)
    before = used(world)
    world.clock.advance(timedelta(minutes=10))

    world._open().authenticate(secret)

    assert used(world) == before


def test_who_asks_is_let_in_where_nothing_can_be_written_and_it_is_tried_once_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = world.bridge.make_token(name="a", role=Role.OPERATOR, actor="test")
    tried: list[Connection] = []

    def fail(tx: Connection, *_: object, **__: object) -> None:
        tried.append(tx)
        raise StoreBusyError("locked")

    with monkeypatch.context() as patch:
        patch.setattr("fhirbridge.access.tokens.note_use", fail)
        known = [world.bridge.authenticate(secret) for _ in range(3)]

    assert all(known)
    assert (len(tried), used(world)) == (1, [""])
