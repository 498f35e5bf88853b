"""safety.md 13: a chart of the wrong patient is taken back wherever it went, and stays so."""

import pytest
from sqlalchemy import select

from fhirbridge.fhir.retract import can_retract
from fhirbridge.intake.incident import IncidentError
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.settle import Move
from fhirbridge.outbox.states import IN_DOUBT, POISON, RETRACTED, State
from fhirbridge.records import history
from fhirbridge.records.history import UnknownChartError
from fhirbridge.store.tables import record
from tests.factories import (
    World,
    a_short_visit,
    a_visit,
    amended,
    rate,
)
from tests.fakes import Fault
from tests.intake.charts import chart_of, pulse_of, said_of, subjects, take_back

SAID = "2026-02-20T10:00:00-05:00"


def test_safety_13_what_went_is_marked_as_entered_in_error_once(world: World) -> None:
    receipt = world.take(a_short_visit())
    pulse = pulse_of(world, receipt)

    done = take_back(world, receipt.id)
    again = take_back(world, receipt.id)
    world.sync()
    world.sync()

    assert world.ehr.read(pulse)["status"] == "entered-in-error"
    assert len(world.ehr.history(pulse)) == 2
    assert {"destination": "ehr", "resource": pulse} in done.retracted
    assert (again.records, again.deliveries, again.retracted) == ([], [], [])
    kinds = {one["resource"].split("/")[0] for one in done.by_hand}
    assert kinds == {"Patient"}
    shared = {one["resource"].split("/")[0] for one in done.shared}
    assert "Organization" in shared
    assert set(world.states()) == {"delivered"}


def test_safety_13_every_type_that_can_say_so_says_it_each_in_its_own_way(world: World) -> None:
    receipt = world.take(a_visit(1))

    done = take_back(world, receipt.id)
    world.sync()

    assert {one["resource"].split("/")[0] for one in done.by_hand} == {"Patient"}
    there = [
        one
        for one in map(world.ehr.read, world.ehr.references())
        if can_retract(one["resourceType"])
    ]
    assert len({one["resourceType"] for one in there}) > 6
    assert {said_of(one) for one in there} == {"entered-in-error"}
    assert not any("clinicalStatus" in one for one in there)


def test_safety_13_what_other_visits_say_stays_or_comes_back_as_they_say_it(world: World) -> None:
    first = a_short_visit(1)
    wrong = a_short_visit(3)
    wrong["patient"]["language"] = "es"
    world.take(first)
    receipt = world.take(wrong)
    (patient,) = world.of_mapping(receipt, "patient")
    assert world.ehr.read(patient)["communication"]

    done = take_back(world, receipt.id)
    world.sync()

    assert {"destination": "ehr", "resource": patient} in done.replaced
    assert done.by_hand == []
    assert world.ehr.read(patient).get("communication") == world.ehr.history(patient)[0].get(
        "communication"
    )
    assert world.differing() == []


def test_safety_13_what_waits_is_stopped_and_never_goes(world: World) -> None:
    receipt = world.accept(a_short_visit())

    done = take_back(world, receipt.id)
    world.settle()

    assert len(done.stopped) == 1
    assert world.ehr.all_of("Observation") == world.ehr.all_of("Patient") == []
    assert [row.state for row in world.patient_rows()] == ["superseded"]
    assert world.retry() == 0


def test_safety_13_a_visit_that_needs_what_was_stopped_waits_for_it_and_goes(world: World) -> None:
    receipt = world.accept(a_short_visit(1))
    other = world.accept(a_short_visit(2))

    take_back(world, receipt.id)
    world.settle()

    assert world.rows("held", "parked", "pending") == []
    assert world.ehr.read(pulse_of(world, other))["status"] == "final"
    assert len(world.ehr.all_of("Patient")) == 1
    assert world.ehr.history(pulse_of(world, receipt)) == []


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DROPPED])
def test_safety_13_what_may_have_landed_is_read_and_then_taken_back(
    world: World, fault: Fault
) -> None:
    receipt = world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass
    world.ehr.transport.script = [fault]
    for step in world.drain(world.patient_lane()):
        if step == "settled":
            break
    assert [row.state for row in world.patient_rows()] == ["unknown"]

    take_back(world, receipt.id)
    world.settle()

    there = [one["status"] for one in world.ehr.all_of("Observation")]
    assert there == (["entered-in-error"] if fault is Fault.LOST else [])
    assert world.rows("held", "parked", "pending", "unknown") == []


@pytest.mark.parametrize("reason", IN_DOUBT)
def test_safety_13_what_may_be_there_in_a_form_nobody_knows_is_taken_back(
    world: World, reason: str
) -> None:
    receipt = world.accept(a_short_visit())
    pulse = pulse_of(world, receipt)
    for _ in world.drain(world.shared_lane()):
        pass
    world.ehr.transport.script = [Fault.LOST]
    for step in world.drain(world.patient_lane()):
        if step == "settled":
            break
    (unheard,) = world.patient_rows()
    stuck = State.PARKED if reason == POISON else State.HELD
    with world.store.begin() as tx:
        world.bridge._settlement.move(tx, unheard.id, Move(to=stuck, reason=f"{reason}{pulse}"))

    done = take_back(world, receipt.id)
    world.settle()
    still = [row.state for row in world.patient_rows()]
    world.retry(unheard.id)
    world.settle()

    assert done.stopped == []
    assert still == [stuck, "pending"]
    assert {"destination": "ehr", "resource": pulse} in done.retracted
    assert [one["resource"].split("/")[0] for one in done.by_hand] == ["Patient"]
    assert world.ehr.read(pulse)["status"] == "entered-in-error"
    assert world.rows("held", "parked", "pending", "unknown") == []


def test_safety_13_what_a_worker_has_just_chosen_does_not_go(world: World) -> None:
    receipt = world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass
    steps = world.drain(world.patient_lane())
    assert next(steps) == "leased"

    take_back(world, receipt.id)

    assert "claimed" not in list(steps)
    assert [one.state for one in world.patient_rows()] == ["superseded"]


def test_safety_13_what_is_under_way_at_that_moment_is_taken_back_after_it(world: World) -> None:
    receipt = world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass

    for step in world.drain(world.patient_lane()):
        if step == "claimed" and not world.evidence("record.retracted"):
            take_back(world, receipt.id)
    world.settle()

    there = [said for said, _ in subjects(world, pulse_of(world, receipt))]
    assert there == ["final", "entered-in-error"]
    assert world.rows("held", "parked", "pending", "unknown") == []


def test_safety_13_what_another_visit_needs_comes_though_it_was_lost_on_its_way(
    world: World,
) -> None:
    receipt = world.accept(a_short_visit(1))
    other = world.accept(a_short_visit(2))
    for _ in world.drain(world.shared_lane()):
        pass
    world.ehr.transport.script = [Fault.DROPPED]
    for step in world.drain(world.patient_lane()):
        if step == "settled":
            break

    take_back(world, receipt.id)
    world.settle()

    assert world.rows("held", "parked", "pending", "unknown") == []
    assert world.ehr.read(pulse_of(world, other))["status"] == "final"
    assert world.ehr.history(pulse_of(world, receipt)) == []


def test_a_chart_is_found_by_one_certain_name_only(world: World) -> None:
    mine, other = world.accept(a_short_visit(1)), world.accept(a_short_visit(1, "pt-2"))
    with world.store.read() as tx:
        for named, records in (("nobody", [mine.id]), ("Patient/", []), ("", [mine.id, other.id])):
            with pytest.raises(UnknownChartError):
                history.whose(tx, named, records)


def test_safety_13_neither_replay_nor_repair_nor_a_new_destination_brings_it_back(
    world: World,
) -> None:
    receipt = world.take(a_short_visit())
    take_back(world, receipt.id)
    world.sync()
    pulse = pulse_of(world, receipt)

    replayed = world.bridge.replay(Selection(record_id=receipt.id), parked=False, actor="test")
    other = world.connect("other")
    world.settle()
    world.bridge.reconcile("ehr", full=True, actor="test")
    world.settle()

    assert replayed.considered == 0
    assert world.ehr.read(pulse)["status"] == "entered-in-error"
    assert other.all_of("Observation") == []


def test_safety_13_a_restored_ehr_that_shows_it_again_gets_the_retraction_again(
    world: World,
) -> None:
    receipt = world.take(a_short_visit())
    pulse = pulse_of(world, receipt)
    backup = world.ehr.model.snapshot()
    take_back(world, receipt.id)
    world.sync()

    world.ehr.model.restore(backup)
    world.bridge.reconcile("ehr", full=True, repair=True, actor="test")
    world.settle()

    assert world.ehr.read(pulse)["status"] == "entered-in-error"


def test_safety_13_an_amendment_for_the_same_patient_waits_for_a_person(world: World) -> None:
    record_ = a_short_visit()
    receipt = world.take(record_)
    take_back(world, receipt.id)
    world.sync()

    second = world.take(amended(record_, rate(90)))
    world.take(amended(amended(record_, rate(90)), rate(91)))

    (held,) = world.rows("held")
    assert (second.state, held.reason) == ("current", RETRACTED)
    assert world.retry(held.id) == 0
    assert world.ehr.read(pulse_of(world, receipt))["status"] == "entered-in-error"


def test_safety_13_the_consents_of_a_wrong_record_allow_nothing_any_more(world: World) -> None:
    other = world.connect("strict", requires_consent=True)
    sharing = {"id": "s-1", "kind": "sharing", "status": "active", "signed_at": SAID}
    wrong = world.take(a_short_visit(1, consents=[sharing]))
    assert len(other.all_of("Observation")) == 1

    take_back(world, wrong.id)
    world.take(a_short_visit(2, consents=[]))

    assert [one["status"] for one in other.all_of("Observation")] == ["entered-in-error"]
    (held,) = world.rows("held")
    assert held.destination == "strict"
    assert held.reason.startswith("consent: ")


def test_without_a_reason_nothing_is_done(world: World) -> None:
    receipt = world.take(a_short_visit())

    with pytest.raises(IncidentError, match="reason"):
        world.intake.retract(chart_of(world, receipt.id), reason=" ", actor="test")

    with world.store.read() as tx:
        assert tx.scalar(select(record.c.retracted)) == ""
