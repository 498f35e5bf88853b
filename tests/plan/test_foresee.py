"""A plan is what the sync after it does: the same resources, in the same way, in the same order."""

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from fhirbridge.outbox.selection import Selection
from fhirbridge.plan import plan as plans
from fhirbridge.plan.foresee import Step
from fhirbridge.plan.plan import Plan
from tests.factories import (
    Record,
    World,
    a_pulse,
    a_short_visit,
    amended,
    few_mappings,
    rate,
    retracted,
)
from tests.fakes import Says

SEEDS = 25
RETRACTED = 0.25  # of the later versions
WRITES = (Step.CREATE, Step.CHANGE, Step.RETRACT)
REFUSED = Says(status=422)


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def planned(plan: Plan) -> list[tuple[str, str]]:
    """Which resources a plan creates or changes, sorted."""
    return sorted(
        (resource.resource, "create" if resource.step is Step.CREATE else "update")
        for one in plan.deliveries
        for resource in one.resources
        if resource.step in WRITES
    )


def sent(world: World) -> list[tuple[str, str]]:
    """Which resources really went out, sorted."""
    return sorted(
        (
            entry["request"]["url"],
            "create" if entry["request"]["ifMatch"] == 'W/"0"' else "update",
        )
        for bundle in world.ehr.requests("transaction")
        for entry in bundle["entry"]
    )


def life(dice: random.Random) -> Iterator[Record]:
    """Visits of two patients, amended, retracted and brought back, in any order."""
    known: dict[str, Record] = {}
    for _ in range(dice.randint(3, 9)):
        new = a_short_visit(dice.randint(1, 3), f"pt-{dice.randint(1, 2)}")
        name = new["session_id"]
        if name in known:
            change = dice.choice([None, rate(dice.randint(60, 99)), more_pulses])
            gone = dice.random() < RETRACTED
            new = retracted(known[name]) if gone else amended(new, change)
            new["version"] = known[name]["version"] + 1
        known[name] = new
        yield new


def more_pulses(record: Record) -> None:
    record["vitals"].append(a_pulse("v-2", 70, hour=10))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_sync_does_what_was_planned_and_a_plan_asks_nothing(world: World, seed: int) -> None:
    dice = random.Random(seed)
    for record in life(dice):
        world.accept(record)
        if dice.random() < 0.3:
            world.settle()
    world.ehr.transport.sent.clear()

    plan = world.bridge.plan()
    assert world.ehr.transport.sent == []
    world.sync()

    assert sent(world) == planned(plan)
    assert plan.has_requests is bool(sent(world))
    assert not world.bridge.plan().has_requests


def test_what_waits_for_a_parked_one_is_planned_to_wait_for_it(world: World) -> None:
    world.accept(a_short_visit(1))
    world.ehr.transport.script = [None, REFUSED]
    world.settle()
    world.accept(a_short_visit(2))

    before = world.bridge.plan()
    world.settle()
    after = world.bridge.plan()

    (parked,) = world.rows("parked")
    for plan in (before, after):
        waits = [one.reason for one in plan.deliveries if one.step is Step.WAIT]
        assert waits == [f"blocked-by: {parked.id}"]
        assert not plan.has_requests


def test_what_waited_for_a_parked_one_is_planned_to_go_once_that_one_goes(world: World) -> None:
    world.accept(a_short_visit(1))
    world.ehr.transport.script = [None, REFUSED]
    world.settle()
    world.accept(a_short_visit(2))
    world.settle()
    world.retry()
    world.ehr.transport.sent.clear()

    plan = world.bridge.plan()
    world.sync()

    assert [(one.step, one.reason) for one in plan.deliveries] == [(Step.SEND, "")] * 2
    assert sent(world) == planned(plan)


def test_what_waits_for_its_time_keeps_its_patient_and_no_other(world: World) -> None:
    world.take(a_short_visit(1, "pt-1"))
    world.accept(amended(a_short_visit(1, "pt-1"), rate(80)))
    world.ehr.transport.script = [Says(status=503, headers={"retry-after": "3600"})]
    world.sync()
    world.accept(a_short_visit(2, "pt-1"))
    world.accept(a_short_visit(1, "pt-2"))

    found = {one.delivery: one for one in world.bridge.plan().deliveries}

    (late,) = [one for one in found.values() if one.reason.startswith("until ")]
    (behind,) = [one for one in found.values() if one.reason.startswith("behind ")]
    assert behind.reason == f"behind {late.delivery}"
    assert [one.step for one in found.values() if one not in (late, behind)] == [Step.SEND]


def test_what_an_answer_was_lost_of_is_planned_to_be_read_back(world: World) -> None:
    world.accept(a_short_visit())
    lane = world.drain(world.shared_lane())
    assert [next(lane), next(lane)] == ["leased", "claimed"]

    steps = [one.step for one in world.bridge.plan().deliveries]

    assert steps == [Step.READ_BACK, Step.SEND]


def test_only_the_rows_of_the_day_are_looked_at(world: World) -> None:
    first = world.clock.now()
    for day in range(20):
        world.accept(a_short_visit(1, f"pt-{day}"))
        world.clock.advance(timedelta(days=1))
    begins = first + timedelta(days=7)
    chosen = Selection(received_from=begins, received_before=begins + timedelta(days=1))
    world.bridge.sync(Selection(received_before=begins))
    world.ehr.transport.sent.clear()

    plan = world.bridge.plan(chosen)
    world.bridge.sync(chosen)

    assert len({one.record for one in plan.deliveries}) == 1
    assert sent(world) == planned(plan)
    assert len(world.ehr.all_of("Patient")) == 8


def test_a_plan_of_a_large_backlog_is_written_and_read_as_it_was(world: World) -> None:
    for number in range(20):
        world.accept(a_short_visit(1, f"pt-{number}"))
    chosen = Selection(received_from=world.clock.now() - timedelta(days=1), type="Observation")
    plan = world.bridge.plan(chosen)

    written = plans.from_bytes(plans.to_bytes(plan))

    assert written.selection == chosen
    assert written.state == plan.state
    assert written.deliveries == tuple(one.delivery for one in plan.deliveries)
