"""What went out and was read back in part is neither closed nor set aside: the rest is read."""

from typing import Any

from fhirbridge.destinations.modes import Mode
from fhirbridge.outbox.cancel import Cancelled
from fhirbridge.outbox.selection import EVERYTHING
from tests.deliver.by_mode import Limited, a_world, limits_of
from tests.factories import AFTER_A_LEASE, World, a_pulse, a_short_visit, amended
from tests.fakes import Fault
from tests.intake.charts import take_back
from tests.mapping_sets import few_mappings

MANY = [a_pulse(f"v-{n:02}", 60 + n, hour=9 + n) for n in range(12)]
FORBIDDEN, SIGNED_OUT = 62, 63  # pulses


def half_read() -> tuple[World, str]:
    """A visit that arrived unheard, of which the first ten were read back; its record's id."""
    world = World(mapped=few_mappings)
    far = world.connect()
    far.transport = Limited(far.model, base_url="http://ehr.invalid/fhir", clock=world.clock)
    far.transport.takes = ("transaction",)  # what is read back is read one by one
    world.bridge.probe_destination("ehr", actor="test")
    receipt = world.accept(a_short_visit(vitals=MANY))
    for _ in world.drain(world.shared_lane()):
        pass
    far.transport.script = [Fault.LOST]
    settled = 0
    for step in world.drain(world.patient_lane()):
        settled += step == "settled"
        if settled == 2:
            break
    world.clock.advance(AFTER_A_LEASE)
    (row,) = world.patient_rows()
    assert row.state == "pending"
    assert outcomes(world, row.id) == {"created": 10, "sent": 4}
    return world, receipt.id


def half_refused() -> tuple[World, dict[str, Any], str]:
    """A visit of which one entry is forbidden, and of what comes after it nothing was heard."""
    world = a_world(Mode.BATCH)
    server = limits_of(world)
    says = {FORBIDDEN: "403", SIGNED_OUT: "401"}

    def fate(entry: dict[str, Any]) -> str:
        value = entry.get("resource", {}).get("valueQuantity", {}).get("value", 0)
        return says.get(value, "")

    server._fate = fate  # type: ignore[method-assign]
    record = a_short_visit(vitals=MANY)
    receipt = world.accept(record)
    world.sync()
    says.clear()
    world.resume()
    (row,) = world.patient_rows()
    assert row.state == "parked"
    assert outcomes(world, row.id)["sent"] > 1
    return world, record, receipt.id


def outcomes(world: World, delivery_id: str) -> dict[str, int]:
    every = [item.outcome for item in world.items(delivery_id)]
    return {one: every.count(one) for one in every}


def statuses(world: World) -> list[str]:
    return [one["status"] for one in world.ehr.all_of("Observation")]


def test_safety_13_the_rest_of_a_half_read_delivery_is_read_and_taken_back() -> None:
    world, record_id = half_read()

    done = take_back(world, record_id)
    world.settle()

    assert done.stopped == []
    assert statuses(world) == ["entered-in-error"] * len(MANY)
    assert world.rows("held", "parked", "pending", "unknown") == []


def test_safety_13_the_rest_of_a_half_refused_delivery_is_read_and_taken_back() -> None:
    world, _, record_id = half_refused()

    done = take_back(world, record_id)
    world.retry()
    world.settle()

    assert done.stopped == []
    assert set(statuses(world)) == {"entered-in-error"}
    assert world.rows("held", "parked", "pending", "unknown") == []


def test_r18_a_half_read_delivery_is_under_way_and_goes_on() -> None:
    world, _ = half_read()

    foreseen = world.bridge.cancellable(EVERYTHING)
    done = world.bridge.cancel(EVERYTHING, actor="test")
    world.settle()

    assert foreseen == done == Cancelled(cancelled=0, under_way=1)
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_what_left_the_record_is_taken_back_though_nobody_heard_that_it_came() -> None:
    world, record, _ = half_refused()

    world.take(amended(record, lambda new: new.update(vitals=new["vitals"][:3])))
    world.retry()
    world.settle()

    assert world.rows("held", "parked", "pending", "unknown") == []
    assert statuses(world).count("final") == 3
    assert statuses(world).count("entered-in-error") > 1
