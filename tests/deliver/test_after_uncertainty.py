"""A request of which nobody knows the outcome, and what may happen before it is looked into."""

from typing import Any

import pytest

from fhirbridge.outbox.claim import LEASE
from tests.deliver.refusing import heal, of_type, refuse
from tests.factories import AFTER_A_LEASE, Record, World, a_pulse, a_short_visit, amended, rate
from tests.fakes import Fault

NO = {
    "id": "cs-share",
    "kind": "sharing",
    "status": "withdrawn",
    "signed_at": "2026-02-20T10:32:00-05:00",
    "withdrawn_at": "2026-04-01T10:00:00-05:00",
}
YES = {
    "id": "cs-share",
    "kind": "sharing",
    "status": "active",
    "signed_at": "2026-04-20T10:32:00-05:00",
}
POISONED = 5


def consented(row: Record, pulse: int) -> Any:
    def change(record: Record) -> None:
        record["consents"] = [row]
        rate(pulse)(record)

    return change


def left_uncertain(world: World, record: Record, *, arrives: bool) -> str:
    """Send a record and die before the answer; return the delivery's id."""
    world.accept(record)
    for _ in world.drain(world.shared_lane()):
        pass
    world.ehr.transport.script = [Fault.LOST if arrives else Fault.DROPPED]
    run = world.drain(world.patient_lane())
    assert [next(run), next(run), next(run)] == ["leased", "claimed", "answered"]
    world.clock.advance(AFTER_A_LEASE)
    assert world.patient_rows()[0].state == "sending"
    return str(world.patient_rows()[0].id)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_withdrawn_consent_does_not_make_an_uncertain_delivery_a_delivered_one(
    world: World, *, arrives: bool
) -> None:
    record = a_short_visit()
    left_uncertain(world, record, arrives=arrives)
    withdrawn = amended(record, consented(NO, 90))
    world.accept(withdrawn)

    world.settle()

    first, second = world.patient_rows()
    assert first.state == ("delivered" if arrives else "held")
    assert second.state == "held"
    assert bool(world.ehr.all_of("Patient")) is arrives

    world.accept(amended(withdrawn, consented(YES, 95)))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def poisoned(world: World, record: Record, *, arrives: bool) -> str:
    """Let a record kill five workers, the first one after its request; return its delivery's id."""
    world.accept(record)
    for _ in world.drain(world.shared_lane()):
        pass
    world.ehr.transport.script = [Fault.LOST if arrives else Fault.DROPPED]
    for steps in [3, *[2] * (POISONED - 1)]:
        run = world.drain(world.patient_lane())
        assert [next(run) for _ in range(steps)][-1] == ("answered" if steps == 3 else "claimed")
        world.clock.advance(AFTER_A_LEASE)
    world.sync()
    (parked,) = world.rows("parked")
    assert parked.reason.startswith("poison:")
    return str(parked.id)


def test_p18_a_delivery_that_was_started_five_times_is_parked_and_can_be_retried(
    world: World,
) -> None:
    delivery_id = poisoned(world, a_short_visit(), arrives=True)

    assert world.retry(delivery_id) == 1
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert {len(world.ehr.history(one)) for one in world.ehr.references()} == {1}


@pytest.mark.parametrize("arrives", [True, False])
def test_our_own_uncertain_version_is_no_edit_when_the_next_one_finds_it(
    world: World, *, arrives: bool
) -> None:
    record = a_short_visit()
    pulse = world.of_mapping(world.take(record), "vital-heart-rate")[0]
    second = amended(record, rate(80))
    poisoned(world, second, arrives=arrives)

    world.take(amended(second, rate(90)))
    world.settle()

    assert "held" not in world.states()
    rates = [one["valueQuantity"]["value"] for one in world.ehr.history(pulse)]
    assert rates == ([72, 80, 90] if arrives else [72, 90])
    assert world.differing() == []


def test_what_may_have_arrived_is_retracted_when_it_leaves_the_record(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    extra = amended(record, lambda r: r["vitals"].append(a_pulse("v-2", 120, hour=10)))
    poisoned(world, extra, arrives=True)

    world.take(amended(extra, lambda r: r["vitals"].pop()))
    world.settle()

    statuses = sorted(one["status"] for one in world.ehr.all_of("Observation"))
    assert statuses == ["entered-in-error", "final"]


def test_a_retried_older_delivery_waits_for_what_is_uncertain_behind_it(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    refuse(world, of_type("Observation"))
    second = amended(record, rate(80))
    world.take(second)
    heal(world)
    (parked,) = world.rows("parked")
    world.ehr.transport.script = [Fault.LOST]
    other = a_short_visit(2, patient="pt-1")
    other["patient"]["language"] = "es"
    world.accept(other)
    run = world.drain(world.patient_lane())
    assert [next(run), next(run), next(run)] == ["leased", "claimed", "answered"]
    world.clock.advance(LEASE * 2)

    world.retry(parked.id)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_what_somebody_edited_before_it_was_looked_into_is_not_silently_left_active(
    world: World,
) -> None:
    record = a_short_visit()
    world.take(record)
    extra = amended(record, lambda r: r["vitals"].append(a_pulse("v-2", 120, hour=10)))
    world.ehr.transport.script = [Fault.LOST]
    receipt = world.accept(extra)
    run = world.drain(world.patient_lane())
    assert [next(run), next(run), next(run)] == ["leased", "claimed", "answered"]
    new = next(
        one
        for one in world.of_mapping(receipt, "vital-heart-rate")
        if world.ehr.read(one)["valueQuantity"]["value"] == 120
    )
    world.ehr.edit(new, note=[{"text": "Synthetic note: taken after exercise"}])
    world.clock.advance(AFTER_A_LEASE)
    world.settle()
    assert [row.reason.split(":")[0] for row in world.rows("held")] == ["edited"]

    world.take(amended(extra, lambda r: r["vitals"].pop()))
    world.settle()

    assert world.ehr.read(new)["status"] == "final"
    assert world.patient_rows()[-1].state == "held"
    assert world.patient_rows()[-1].reason.startswith(f"edited: {new}")
