"""A plan is what the sync after it does: the same resources, in the same way, in the same order."""

import random
from collections.abc import Iterator
from datetime import timedelta

import pytest

from fhirbridge.destinations import registry
from fhirbridge.outbox.selection import Selection
from fhirbridge.plan import plan as plans
from fhirbridge.plan.foresee import Step
from fhirbridge.plan.plan import Plan
from tests.deliver.refusing import heal, refuse
from tests.factories import A_DAY, Record, World, a_pulse, a_short_visit, amended, rate, retracted
from tests.fakes import Says
from tests.mapping_sets import few_mappings

SEEDS = 25
RETRACTED = 0.25  # of the later versions
WRITES = (Step.CREATE, Step.CHANGE, Step.RETRACT)


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


def take_at_most(world: World, entries: int) -> None:
    with world.store.begin() as tx:
        registry.note_size(tx, "ehr", most_entries=entries, most_bytes=registry.MOST_BYTES)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_sync_does_what_was_planned_and_a_plan_asks_nothing(world: World, seed: int) -> None:
    dice = random.Random(seed)
    take_at_most(world, dice.choice([1, 3, registry.MOST_ENTRIES]))
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
    refuse(world)
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
    refuse(world)
    world.settle()
    world.accept(a_short_visit(2))
    world.settle()
    heal(world)
    world.retry()
    world.ehr.transport.sent.clear()

    plan = world.bridge.plan()
    world.sync()

    assert [(one.step, one.reason) for one in plan.deliveries] == [(Step.SEND, "")] * 2
    assert sent(world) == planned(plan)


def test_what_waits_for_its_time_keeps_its_patient_and_no_other(world: World) -> None:
    world.take(a_short_visit(1, "pt-1"))
    world.accept(amended(a_short_visit(1, "pt-1"), rate(80)))
    world.ehr.transport.script = [Says(status=503)] * 9
    world.sync()
    world.ehr.transport.script = []
    world.accept(a_short_visit(2, "pt-1"))
    world.accept(a_short_visit(1, "pt-2"))

    found = {one.delivery: one for one in world.bridge.plan().deliveries}

    (late,) = [one for one in found.values() if one.reason.startswith("until ")]
    (behind,) = [one for one in found.values() if one.reason.startswith("behind ")]
    assert behind.reason == f"behind {late.delivery}"
    assert [one.step for one in found.values() if one not in (late, behind)] == [Step.SEND]


def test_all_parts_of_a_delivery_are_planned(world: World) -> None:
    take_at_most(world, 5)
    pulses = [a_pulse(f"v-{number}", 60 + number) for number in range(20)]
    world.accept(a_short_visit(vitals=pulses))

    plan = world.bridge.plan()
    world.sync()

    assert len(planned(plan)) == len(pulses) + 3  # and the patient, the clinician, the Provenance
    assert sent(world) == planned(plan)


def test_what_is_left_once_a_part_was_lost_is_planned_to_be_sent(world: World) -> None:
    world.accept(a_short_visit())
    world.sync()
    take_at_most(world, 2)
    world.accept(a_short_visit(1, "pt-2", vitals=[a_pulse(f"v-{n}", 60 + n) for n in range(4)]))
    (lane,) = [one for one in world.lanes() if one.lane == world.rows("pending")[0].lane]
    steps = world.drain(lane)
    assert [next(steps), next(steps)] == ["leased", "claimed"]

    (one,) = world.bridge.plan().deliveries

    assert one.step is Step.READ_BACK
    found = [resource.step for resource in one.resources]
    assert found == [Step.READ_BACK] * 2 + [Step.CREATE] * 4


def test_what_the_ehr_refused_is_planned_to_stay_behind_with_what_points_to_it(
    world: World,
) -> None:
    world.accept(a_short_visit(vitals=[a_pulse("v-1", 300), a_pulse("v-2", 60)]))
    refuse(world, lambda found: found.get("valueQuantity", {}).get("value") == 300)
    for _ in world.drain(world.shared_lane()):
        pass
    (row,) = world.patient_rows()
    steps = world.drain(world.patient_lane())
    while "refused" not in [item.outcome for item in world.items(row.id)]:
        next(steps)

    (one,) = world.bridge.plan().deliveries

    assert one.step is Step.SEND
    assert one.reason.startswith("refused: the EHR will not take Observation")
    found = sorted((resource.resource.split("/")[0], resource.step) for resource in one.resources)
    assert found == [
        ("Observation", Step.CREATE),
        ("Observation", Step.HOLD),
        ("Patient", Step.SKIP),
        ("Provenance", Step.WAIT),
    ]


def test_what_an_ehr_asked_to_wait_for_is_planned_to_wait_as_a_whole(world: World) -> None:
    world.take(a_short_visit(1, "pt-1"))
    world.accept(amended(a_short_visit(1, "pt-1"), rate(80)))
    world.ehr.transport.script = [Says(status=503, headers={"retry-after": "3600"})]
    world.sync()
    world.accept(a_short_visit(1, "pt-2"))

    plan = world.bridge.plan()

    assert {one.step for one in plan.deliveries} == {Step.WAIT}
    assert all(one.reason.startswith("until 2026-05-04T10:0") for one in plan.deliveries)
    assert not plan.has_requests


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


def test_what_is_brought_back_is_planned_with_what_needs_it(world: World) -> None:
    for number in range(6):
        world.take(a_short_visit(1, f"pt-{number}"))
    compare(world)
    backup = world.ehr.model.snapshot()
    record = a_short_visit(1, "pt-9")
    world.take(record)
    world.clock.advance(A_DAY)
    world.ehr.model.restore(backup)
    changed = world.accept(amended(record, more_pulses))
    compare(world)
    world.ehr.transport.sent.clear()
    chosen = Selection(record_id=changed.id)

    plan = world.bridge.plan(chosen)
    world.bridge.sync(chosen)

    assert [one.step for one in plan.deliveries] == [Step.SEND] * 2
    assert sent(world) == planned(plan)
    assert world.differing() == []


def compare(world: World) -> None:
    world.clock.advance(A_DAY)
    world.bridge.reconcile("ehr", full=True, actor="test")
