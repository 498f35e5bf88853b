"""A refused transaction is sent once more as single requests: only the bad ones stay behind."""

from typing import Any

import pytest

from tests.deliver.refusing import NO, heal, is_patient, of_type, outcome, refuse, requests
from tests.deliver.taking_apart import examine
from tests.factories import (
    AFTER_A_LEASE,
    World,
    a_pulse,
    a_short_visit,
    a_visit,
    amended,
    rate,
    rates,
)
from tests.fakes import Fault, Says, Trouble
from tests.mapping_sets import few_mappings

ENTRIES = 9
TOO_FAST = 200


@pytest.fixture
def few() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def too_fast(resource: dict[str, Any]) -> bool:
    value = resource.get("valueQuantity", {}).get("value", 0)
    return bool(value > TOO_FAST)


def three_pulses(middle: int = 300) -> dict[str, Any]:
    rates = (70, middle, 80)
    return a_short_visit(vitals=[a_pulse(f"v-{n}", one) for n, one in enumerate(rates)])


def outcomes(world: World) -> list[str]:
    return sorted(item.outcome for item in world.items(world.patient_rows()[0].id))


def test_r14_a_bad_resource_at_any_place_stays_behind_with_what_needs_it(few: World) -> None:
    wrong = {bad: found for bad in range(ENTRIES) if (found := examine(few, ENTRIES, bad))}

    assert wrong == {}


def test_what_needs_a_bad_one_only_through_others_waits_too(world: World) -> None:
    world.accept(a_visit(3))
    refuse(world, of_type("Encounter"))

    world.settle()

    (parked,) = world.rows("parked")
    by_type = {item.type: item.outcome for item in world.items(parked.id)}
    assert by_type["Encounter"] == "refused"
    assert by_type["MedicationAdministration"] == by_type["Provenance"] == "blocked"
    assert by_type["Patient"] == by_type["Condition"] == by_type["CarePlan"] == "created"
    assert "Encounter of encounter" in parked.reason
    assert parked.reason.endswith("wait for it")


def test_a_delivery_of_one_resource_is_not_sent_twice(few: World) -> None:
    record = three_pulses(75)
    few.take(record)
    few.ehr.transport.sent.clear()
    refuse(few, of_type("Organization"))

    few.take(amended(record, lambda new: new["clinic"].update(name="Clinic East")))

    assert [len(resources) for resources in requests(few)][:1] == [1]
    shared = few.rows("parked")[0]
    assert few.items(shared.id)[0].outcome == "refused"


def test_single_requests_are_guarded_as_the_transaction_is(few: World) -> None:
    record = three_pulses(75)
    few.take(record)
    few.ehr.transport.sent.clear()
    refuse(few, too_fast)

    few.take(amended(record, rates(71, 300)))
    few.settle()

    alone = [one for one in few.ehr.transport.sent if one.method == "PUT"]
    assert {one.headers["If-Match"] for one in alone} == {'W/"1"'}


def test_a_single_request_creates_only_what_is_not_there(few: World) -> None:
    few.accept(three_pulses())
    refuse(few, too_fast)

    few.settle()

    alone = [one for one in few.ehr.transport.sent if one.method == "PUT"]
    assert len(alone) == 4
    assert {one.headers["If-Match"] for one in alone} == {'W/"0"'}


@pytest.mark.parametrize("edited_first", [True, False])
def test_a_clinicians_edit_is_not_overwritten_by_a_single_request(
    few: World, *, edited_first: bool
) -> None:
    record = three_pulses(75)
    receipt = few.take(record)
    pulse = few.of_mapping(receipt, "vital-heart-rate")[0]
    refuse(few, too_fast)
    few.accept(amended(record, rates(71, 300, 81)))
    run = few.drain(few.patient_lane())
    for _ in range(1 if edited_first else 4):
        next(run)
    note = [{"text": "Synthetic note: after exercise"}]
    few.ehr.edit(pulse, note=note)

    for _ in run:
        pass
    few.settle()

    assert few.ehr.read(pulse)["note"] == note
    assert [row.reason for row in few.rows("held")] == [f"edited: {pulse} changed in the EHR"]


@pytest.mark.parametrize(
    "trouble",
    [
        [Fault.LOST],
        [Fault.DROPPED],
        [Fault.LATE],
        [Fault.NOT_SENT],
        [Fault.LOST, Fault.LOST],
        [Says(status=502)],
        [Says(status=503)],
        [Says(status=409)],
        [Says(status=200, body=b"<html>sign in</html>")],
        [Says(status=200, body=b'{"resourceType":"Patient","id":"somebody"}')],
    ],
    ids=repr,
)
def test_after_any_trouble_with_a_single_request_the_good_ones_are_there_once(
    few: World, trouble: list[Trouble]
) -> None:
    few.accept(three_pulses())
    refuse(few, too_fast)
    few.ehr.transport.script = [None, NO, None, *trouble]

    few.settle()
    few.ehr.transport.land_late()

    assert outcomes(few) == ["blocked", "created", "created", "created", "refused"]
    assert {len(few.ehr.history(one)) for one in few.ehr.references()} == {1}


@pytest.mark.parametrize("step", range(1, 18))
def test_a_worker_that_dies_between_single_requests_is_taken_over(few: World, step: int) -> None:
    few.accept(three_pulses())
    refuse(few, too_fast)
    for _ in few.drain(few.shared_lane()):
        pass
    going = few.drain(few.patient_lane())
    for _ in range(step):
        next(going, None)
    few.clock.advance(AFTER_A_LEASE)

    few.settle()

    assert outcomes(few) == ["blocked", "created", "created", "created", "refused"]
    assert {len(few.ehr.history(one)) for one in few.ehr.references()} == {1}


def test_a_server_that_names_the_entry_needs_no_single_requests(few: World) -> None:
    few.accept(three_pulses())
    named = [{"expression": ["Bundle.entry[2].resource.value.ofType(Quantity)"], "code": "value"}]
    refuse(few, too_fast, Says(status=422, body=outcome(*named)))

    few.settle()

    assert len(requests(few)) == 3  # the clinic's, the refused one, the rest
    assert outcomes(few) == ["blocked", "created", "created", "created", "refused"]
    (parked,) = few.rows("parked")
    assert parked.reason == (
        "refused: the EHR will not take Observation of vital-heart-rate "
        "(Observation.valueQuantity, from vitals[1].heart_rate.value, vitals[1].heart_rate.unit, "
        "resources/vital-heart-rate.yaml:20): answered 422 (value); 1 waits for it"
    )


def test_an_entry_that_is_named_wrongly_is_no_reason_to_guess(few: World) -> None:
    few.accept(three_pulses())
    named = [{"expression": ["Bundle.entry[77]"]}]
    refuse(few, too_fast, Says(status=422, body=outcome(*named)))

    few.settle()

    assert outcomes(few) == ["blocked", "created", "created", "created", "refused"]


def test_the_sentence_never_repeats_the_server(few: World) -> None:
    receipt = few.accept(three_pulses())
    said = [{"expression": ["Observation.where(name='Synthetic-Alvarez')"], "code": "invariant"}]
    refuse(few, too_fast, Says(status=422, body=outcome(*said)))

    few.settle()

    (parked,) = few.rows("parked")
    view = few.bridge.record(receipt.id, actor="test")
    assert view is not None
    shown = [item for one in view["deliveries"] for item in one["items"] if item["reason"]]
    (waiting,) = few.bridge.status().waiting
    assert waiting["reason"] == parked.reason
    assert "Alvarez" not in repr(shown) + parked.reason
    assert "(from vitals[1], resources/vital-heart-rate.yaml)" in parked.reason
    assert sorted(item["outcome"] for item in shown) == ["blocked", "refused"]


def test_a_resource_that_breaks_the_server_each_time_is_set_aside_after_five(few: World) -> None:
    few.accept(three_pulses())
    few.ehr.transport.script = [None, NO]
    refuse(few, too_fast, Says(status=500))

    few.settle()

    assert outcomes(few) == ["blocked", "created", "created", "created", "refused"]
    tried = [one for one in requests(few) if len(one) == 1 and too_fast(one[0])]
    assert len(tried) == 5
    assert "answered 500 each time" in few.rows("parked")[0].reason


def test_a_correction_takes_back_a_row_that_had_landed_alone(few: World) -> None:
    bad = three_pulses()
    few.accept(bad)
    refuse(few, too_fast)
    few.settle()

    few.take(amended(bad, lambda new: new.update(vitals=[new["vitals"][0]])))
    few.settle()

    statuses = sorted(one["status"] for one in few.ehr.all_of("Observation"))
    assert statuses == ["entered-in-error", "final"]
    assert [row.state for row in few.patient_rows()] == ["superseded", "delivered"]
    assert few.differing() == []


def test_a_correction_back_to_what_was_before_undoes_what_had_landed_alone(few: World) -> None:
    first = three_pulses(75)
    few.take(first)
    second = amended(first, rates(99, 300))
    refuse(few, too_fast)
    few.take(second)
    few.settle()
    assert few.rows("parked") != []

    few.take(amended(second, rates(70, 75)))
    few.settle()

    assert few.rows("parked", "held", "pending") == []
    assert few.differing() == []


def test_what_landed_alone_is_named_by_the_provenance_of_the_correction(few: World) -> None:
    bad = three_pulses()
    few.accept(bad)
    refuse(few, too_fast)
    few.settle()

    few.take(amended(bad, rate(75, 1)))
    few.settle()

    (provenance,) = few.ehr.all_of("Provenance")
    named = {one["reference"] for one in provenance["target"]}
    pulses = {f"Observation/{one['id']}" for one in few.ehr.all_of("Observation")}
    assert pulses < named
    assert {len(few.ehr.history(one)) for one in few.ehr.references()} == {1}


def test_a_retried_older_part_does_not_turn_back_what_a_newer_one_brought(few: World) -> None:
    first = a_short_visit(1)
    few.take(first)
    older = a_short_visit(2)
    older["patient"]["language"] = "es"
    refuse(few, is_patient)
    few.take(older)
    newer = a_short_visit(3, vitals=[a_pulse("v-1", 300)])
    newer["patient"]["language"] = "fr"
    refuse(few, too_fast)
    few.take(newer)
    few.settle()
    heal(few)

    few.retry()
    few.settle()

    assert set(few.states()) == {"delivered"}
    (patient,) = few.ehr.all_of("Patient")
    spoken = [
        one["communication"][0]["language"]["coding"][0]["code"]
        for one in few.ehr.history(f"Patient/{patient['id']}")
    ]
    assert spoken == ["en-US", "fr"]
    assert few.differing() == []
