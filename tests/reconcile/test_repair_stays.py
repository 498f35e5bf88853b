"""A repair brings back what a whole chart lost: what one session says later does not close it."""

from typing import Any

import pytest

from fhirbridge.outbox.selection import EVERYTHING
from tests.factories import A_DAY, World, a_short_visit, amended, rate
from tests.intake.charts import pulse_of, take_back

LATER = A_DAY / 24


def lose(world: World, before: Any) -> None:
    """Let the EHR go back; what its chart lost is owed by one repair."""
    world.clock.advance(LATER)
    world.ehr.model.restore(before)
    world.bridge.reconcile("ehr", full=True, repair=True, actor="test")
    (repair,) = [row for row in world.patient_rows() if row.repairs]
    assert repair.state == "pending"


@pytest.mark.parametrize("wrong", [0, 1])
def test_safety_13_what_other_sessions_lost_comes_back_though_one_is_taken_back(
    world: World, wrong: int
) -> None:
    before = world.ehr.model.snapshot()
    receipts = [world.take(a_short_visit(number)) for number in (1, 2)]
    pulses = [pulse_of(world, one) for one in receipts]
    lose(world, before)

    done = take_back(world, receipts[wrong].id)
    world.settle()

    assert done.stopped == []
    assert world.ehr.read(pulses[1 - wrong])["status"] == "final"
    assert world.ehr.history(pulses[wrong]) == []
    assert world.rows("held", "parked", "pending", "unknown") == []


def test_safety_13_what_needs_a_word_that_was_taken_back_goes_with_a_retry(world: World) -> None:
    before = world.ehr.model.snapshot()
    right, wrong = a_short_visit(1), a_short_visit(2)
    wrong["patient"]["language"] = "es"
    pulse = pulse_of(world, world.take(right))
    receipt = world.take(wrong)
    lose(world, before)

    take_back(world, receipt.id)
    world.settle()
    (parked,) = world.rows("parked")  # its patient came as the other visit says, after it
    world.retry(parked.id)
    world.settle()

    assert parked.repairs
    assert world.ehr.read(pulse)["status"] == "final"
    assert "'es'" not in repr(world.ehr.all_of("Patient"))
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_corrected_version_leaves_a_cancelled_repair_to_be_sent(world: World) -> None:
    before = world.ehr.model.snapshot()
    first, second = a_short_visit(1), a_short_visit(2)
    world.take(first)
    pulse = pulse_of(world, world.take(second))
    lose(world, before)
    world.bridge.cancel(EVERYTHING, actor="test")

    world.accept(amended(first, rate(91)))
    world.retry()
    world.settle()

    assert world.ehr.read(pulse)["status"] == "final"
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
