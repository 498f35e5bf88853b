"""Workers that die anywhere, and a sweep that knows when to stop."""

from datetime import timedelta

import pytest

from fhirbridge.deliver import run, worker
from tests.deliver.refusing import refuse
from tests.factories import AFTER_A_LEASE, World, a_short_visit, amended, rate
from tests.fakes import Says

STEPS = 12


@pytest.mark.parametrize("step", range(1, STEPS))
def test_p01_a_worker_that_dies_after_any_step_is_taken_over(world: World, step: int) -> None:
    record = a_short_visit()
    world.accept(record)
    world.accept(amended(record, rate(90)))
    taken = 0
    abandoned = []
    for lane in (world.shared_lane(), world.patient_lane()):
        going = world.drain(lane)
        for _ in going:
            taken += 1
            if taken == step:
                break
        abandoned.append(going)  # kept, so that nothing in it is tidied up
        if taken == step:
            break
    world.clock.advance(AFTER_A_LEASE)

    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    (pulse,) = world.ehr.all_of("Observation")
    rates = [
        one["valueQuantity"]["value"] for one in world.ehr.history(f"Observation/{pulse['id']}")
    ]
    assert rates == [72, 90]


def test_a_lane_of_a_dead_worker_waits_for_the_end_of_its_lease_and_no_longer(
    world: World,
) -> None:
    world.accept(a_short_visit())
    dead = world.drain(world.shared_lane())
    assert next(dead) == "leased"

    assert world.sync().settled == 0
    world.clock.advance(timedelta(seconds=61))
    assert world.sync().settled == 2


def test_until_idle_waits_for_what_is_due_soon_and_then_gives_up(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.choose = lambda _request: Says(status=503)
    started = world.clock.monotonic()

    worker.until_idle(world.rooms, patience=timedelta(seconds=5))

    assert len(world.ehr.transport.sent) > 1
    assert world.clock.monotonic() - started <= 5


def test_until_idle_leaves_nothing_that_comes_due_while_it_looks(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.script = [Says(status=503)]
    worker.sweep(world.rooms)

    def slowly() -> bool:
        world.clock.advance(timedelta(seconds=1))  # longer than the first wait
        return True

    worker.until_idle(world.rooms, go_on=slowly)

    assert set(world.states()) == {"delivered"}


def test_until_idle_does_not_wait_for_what_is_due_tomorrow(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.script = [Says(status=503, headers={"retry-after": "86400"})]

    worker.until_idle(world.rooms)

    assert world.clock.slept == []
    assert len(world.ehr.transport.sent) == 1


def test_until_idle_ends_when_a_delivery_is_blocked_and_asks_the_ehr_nothing(
    world: World,
) -> None:
    world.accept(a_short_visit(1))
    refuse(world)
    world.settle()
    world.accept(a_short_visit(2))
    world.sync()
    world.ehr.transport.sent.clear()

    swept = worker.until_idle(world.rooms)

    assert (swept.settled, swept.broken) == (0, 0)
    assert world.ehr.transport.sent == []
    assert len(world.rows("pending")) == 1


def test_until_idle_ends_when_the_destination_is_stopped(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.choose = lambda _request: Says(status=401)

    worker.until_idle(world.rooms)

    assert len(world.ehr.transport.sent) == 1
    assert worker.until_idle(world.rooms).settled == 0


def test_a_worker_that_is_asked_to_stop_begins_nothing_new(world: World) -> None:
    for patient in ("pt-1", "pt-2", "pt-3"):
        world.accept(a_short_visit(patient=patient))
    answers = iter([True, True, True, False])

    worker.sweep(world.rooms, go_on=lambda: next(answers, False))

    assert 0 < len(world.ehr.transport.sent) < 4
    world.settle()
    assert set(world.states()) == {"delivered"}


def test_every_move_and_every_exchange_has_its_evidence(world: World) -> None:
    world.take(a_short_visit())

    moved = [row.outcome for row in world.evidence("delivery.changed")]
    assert sorted(moved) == ["delivered", "delivered", "sending", "sending"]
    assert len(world.evidence("delivery.started")) == len(world.ehr.transport.sent) == 2
    assert len(world.evidence("delivery.answered")) == 2


def test_runs_are_counted_before_and_forgotten_after(world: World) -> None:
    world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass
    for _ in range(run.MOST_RUNS - 1):
        going = world.drain(world.patient_lane())
        assert [next(going), next(going)] == ["leased", "claimed"]
        world.clock.advance(AFTER_A_LEASE)
    assert world.patient_rows()[0].runs == run.MOST_RUNS - 1

    world.settle()

    assert world.patient_rows()[0].state == "delivered"
    assert world.patient_rows()[0].runs == 0
