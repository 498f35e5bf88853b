"""What a delivery costs: as few commits as safety allows, each of them named in the order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from fhirbridge.deliver import run, worker
from fhirbridge.destinations import registry
from fhirbridge.outbox.claim import LEASE, LaneName
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.store.tables import delivery, delivery_item, lane
from tests.factories import World, a_short_visit, amended, rate

MANY = 60
LANE = LaneName("ehr", "lane-of-many")


@contextmanager
def commits(world: World) -> Iterator[list[int]]:
    """Count what is committed meanwhile."""
    made: list[int] = []

    def note(_connection: Any) -> None:
        made.append(1)

    event.listen(world.store.engine, "commit", note)
    yield made
    event.remove(world.store.engine, "commit", note)


def a_lane_of_what_is_there(world: World, many: int = MANY) -> list[str]:
    """Queue the same, which arrived already, again and again; return the ids."""
    world.take(a_short_visit())
    with world.store.begin() as tx:
        (like,) = tx.execute(select(delivery).where(delivery.c.lane != SHARED_LANE)).all()
        carried = tx.execute(
            select(delivery_item).where(delivery_item.c.delivery_id == like.id)
        ).all()
        tx.execute(
            insert(lane),
            {"destination": "ehr", "lane": LANE.lane, "sequence": many, "fence": 0}
            | {"leased_until": ""},
        )
        ids = [f"{number:032x}" for number in range(many)]
        fresh = {"state": "pending", "lane": LANE.lane}
        rows = [
            {**like._asdict(), **fresh, "id": one, "sequence": n + 1} for n, one in enumerate(ids)
        ]
        tx.execute(insert(delivery), rows)
        tx.execute(
            insert(delivery_item),
            [
                {**item._asdict(), "delivery_id": one, "outcome": ""}
                for one in ids
                for item in carried
            ],
        )
    return ids


def test_a_delivery_is_three_commits_chosen_begun_and_settled(world: World) -> None:
    world.accept(a_short_visit())
    list(world.drain(world.shared_lane()))

    with commits(world) as made:
        steps = [(step, len(made)) for step in world.drain(world.patient_lane())]

    assert steps == [
        ("leased", 1),
        ("claimed", 2),
        ("answered", 2),
        ("settled", 3),
        ("released", 3),
    ]


def test_each_further_delivery_of_a_lane_is_two_commits(world: World) -> None:
    record = a_short_visit()
    for _ in range(3):
        world.accept(record)
        record = amended(record, rate(80 + record["version"]))
    list(world.drain(world.shared_lane()))

    with commits(world) as made:
        steps = list(world.drain(world.patient_lane()))

    assert steps.count("settled") == 3
    assert len(made) == 1 + 2 * 3


def test_what_needs_no_request_is_settled_many_to_a_commit(world: World) -> None:
    ids = a_lane_of_what_is_there(world)
    world.ehr.transport.sent.clear()

    with commits(world) as made:
        steps = list(world.drain(LANE))

    # The lease; the first, after which it is known that such ones come; fifty, and the rest.
    assert len(made) == 4
    assert steps.count("settled") == MANY
    assert world.ehr.transport.sent == []
    rows = [row for row in world.rows() if row.id in ids]
    assert {(row.state, row.runs) for row in rows} == {("delivered", 0)}
    told = [row.delivery_id for row in world.evidence("delivery.changed")]
    assert [told.count(one) for one in ids] == [1] * MANY


def test_a_commit_of_many_ends_in_time_for_others_to_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = a_lane_of_what_is_there(world)
    began = run._Lane._begin

    def slowly(self: Any, *given: Any) -> Any:
        world.clock.sleep(run.LONGEST_COMMIT_SECONDS / 10)
        return began(self, *given)

    monkeypatch.setattr(run._Lane, "_begin", slowly)

    with commits(world) as made:
        list(world.drain(LANE))

    assert len(made) == 2 + len(ids) // 11 + 1
    assert {row.state for row in world.rows()} == {"delivered"}


def test_what_was_begun_once_without_an_end_goes_for_itself(world: World) -> None:
    """Of many that were chosen together one may have killed the worker: alone it is found."""
    ids = a_lane_of_what_is_there(world, 5)
    going = world.drain(LANE)
    assert [next(going), next(going)] == ["leased", "settled"]
    world.clock.advance(LEASE * 2)

    with commits(world) as made:
        steps = list(world.drain(LANE))

    assert [row.runs for row in world.rows() if row.id in ids] == [0] * 5
    assert steps.count("settled") == 4
    assert len(made) == 1 + 4


def test_what_was_stopped_after_it_was_chosen_is_not_begun_and_keeps_its_runs(
    world: World,
) -> None:
    world.accept(a_short_visit())
    list(world.drain(world.shared_lane()))
    going = world.drain(world.patient_lane())
    assert next(going) == "leased"
    (name, patient) = world.patient_lane()
    world.bridge.pause(Stopped(name, patient), actor="test")

    assert list(going) == ["released"]
    (row,) = world.patient_rows()
    assert (row.state, row.runs) == ("pending", 0)


def test_what_was_paused_after_it_was_chosen_is_not_begun(world: World) -> None:
    world.accept(a_short_visit())
    going = world.drain(world.shared_lane())
    assert next(going) == "leased"
    with world.store.begin() as tx:
        registry.pause(tx, "ehr", "by a test")

    assert list(going) == ["released"]
    assert world.ehr.transport.sent == []


def test_a_hand_gives_others_time_to_write_where_it_asks_no_ehr(world: World) -> None:
    a_lane_of_what_is_there(world)
    world.clock.slept.clear()

    swept = worker.sweep(world.rooms)

    assert swept.settled == MANY
    assert world.clock.slept == [worker.GIVE_WAY_SECONDS] * MANY


def test_a_hand_that_asks_an_ehr_goes_on_at_once(world: World) -> None:
    world.accept(a_short_visit())
    world.clock.slept.clear()

    worker.sweep(world.rooms)

    assert len(world.ehr.transport.sent) == 2
    assert world.clock.slept == []
