"""R19: backfills go after all that is live, and choosing stays quick however many there are."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import LaneName
from fhirbridge.store.tables import delivery, lane
from tests.factories import Record, World, a_short_visit, amended, rate
from tests.mapping_sets import few_mappings

MANY = 100_000
LANES = 10_000
SECONDS = 1.0  # on a busy machine; 20 ms on a quiet one


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    made.take(a_short_visit(patient="pt-0"))
    return made


def backfill(world: World, record: Record) -> None:
    world.bridge.accept(codec.encode(record), actor="test", backfill=True)


def due(world: World, most: int | None = None) -> list[LaneName]:
    with world.store.read() as tx:
        return claim.due_lanes(tx, world.clock.now(), destination="ehr", most=most)


def lane_of(world: World, receipt_id: str) -> LaneName:
    (found,) = [row for row in world.patient_rows() if row.record_id == receipt_id]
    return LaneName("ehr", found.lane)


def test_what_is_live_goes_before_older_backfills(world: World) -> None:
    for number in range(1, 4):
        backfill(world, a_short_visit(patient=f"pt-{number}"))
    world.clock.advance(timedelta(hours=1))
    live = world.accept(a_short_visit(patient="pt-9"))

    assert due(world)[0] == lane_of(world, live.id)
    assert len(due(world)) == 4


def test_the_order_within_a_patient_never_changes(world: World) -> None:
    record = a_short_visit(patient="pt-1")
    backfill(world, record)
    world.accept(amended(record, rate(90)))

    world.settle()

    (pulse,) = [
        one for one in world.ehr.all_of("Observation") if one["valueQuantity"]["value"] == 90
    ]
    history = world.ehr.history(f"Observation/{pulse['id']}")
    assert [one["valueQuantity"]["value"] for one in history] == [72, 90]


def test_a_live_record_lifts_its_lane_over_the_backfills_of_others(world: World) -> None:
    backfill(world, a_short_visit(patient="pt-1"))
    backfill(world, a_short_visit(patient="pt-2"))
    world.clock.advance(timedelta(hours=1))
    live = world.accept(a_short_visit(2, patient="pt-2"))

    assert due(world, most=1) == [lane_of(world, live.id)]


def test_a_new_destination_gets_what_is_known_as_a_backfill(world: World) -> None:
    world.connect("new")

    assert {row.low for row in world.rows() if row.destination == "new"} == {True}
    assert {row.low for row in world.rows() if row.destination == "ehr"} == {False}


def test_choosing_reads_the_rows_in_their_order_and_sorts_nothing(world: World) -> None:
    statements: list[tuple[str, Any]] = []

    @event.listens_for(world.store.engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        statements.append((statement, parameters))

    due(world, most=1)
    event.remove(world.store.engine, "before_cursor_execute", note)
    statement, parameters = statements[-1]
    with world.store.read() as tx:
        explained = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plan = "\n".join(row.detail for row in explained)

    assert "SEARCH delivery USING INDEX delivery_turn (destination=? AND state=?)" in plan
    assert "SCAN delivery" not in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.slow
def test_r19_a_live_record_is_chosen_at_once_among_a_hundred_thousand_backfills(
    world: World,
) -> None:
    pile_up(world)
    live = world.accept(a_short_visit(patient="pt-9"))
    clock = SystemClock()

    began = clock.monotonic()
    first = due(world, most=2)
    took = clock.monotonic() - began

    assert first[0] == lane_of(world, live.id)
    assert len(first) == 2
    assert took < SECONDS, took
    with world.store.begin() as tx:
        began = clock.monotonic()
        assert claim.lease(tx, first[1], world.clock.now()) is not None
        assert claim.next_in_lane(tx, first[1], world.clock.now()) != []
        assert clock.monotonic() - began < SECONDS


def pile_up(world: World) -> None:
    """Queue many backfills: ten for each of many patients, all due."""
    backfill(world, a_short_visit(patient="pt-1"))
    with world.store.begin() as tx:
        like = tx.execute(select(delivery).where(delivery.c.low.is_(True))).one()._asdict()
        names = [f"lane-{number:05}" for number in range(LANES)]
        lanes = [
            {"destination": "ehr", "lane": name, "sequence": 10, "fence": 0} | {"leased_until": ""}
            for name in names
        ]
        tx.execute(insert(lane), lanes)
        rows = [
            {**like, "id": f"{number:032x}", "lane": names[number // 10]}
            | {"sequence": number % 10 + 1}
            for number in range(MANY)
        ]
        tx.execute(insert(delivery), rows)
