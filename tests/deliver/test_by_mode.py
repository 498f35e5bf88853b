"""In each mode the same holds: in order, once, never over a person's edit, the bad one apart."""

from typing import Any

import pytest

from fhirbridge.destinations.modes import Mode
from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from tests.deliver.by_mode import LEFT_OUT, MODES, a_world, limits_of
from tests.deliver.refusing import is_patient, of_type, written
from tests.deliver.test_what_must_never_happen import (
    DOSE,
    a_visit_with_an_event,
    is_event,
    watch,
)
from tests.factories import World, a_pulse, a_short_visit, amended, rate, retracted
from tests.fakes import Fault, Says, Trouble
from tests.mapping_sets import mappings

SERVERS = [
    *((mode, "") for mode in MODES),
    (Mode.BATCH, "by_none"),
    (Mode.SINGLE, "weak"),
    (Mode.ASSIGNED, "weak"),
]


@pytest.fixture(params=SERVERS, ids=lambda one: "-".join(filter(None, one)))
def world(request: pytest.FixtureRequest) -> World:
    mode, lacks = request.param
    return a_world(mode, by_none=lacks == "by_none", weak=lacks == "weak")


def visit(*pulses: int) -> dict[str, Any]:
    return a_short_visit(vitals=[a_pulse(f"v-{n}", one) for n, one in enumerate(pulses)])


def versions(world: World) -> dict[str, int]:
    """How many versions each resource has, by what its type and place in the type is."""
    return {one: len(world.ehr.history(one)) for one in world.ehr.references()}


def writes(request: Request) -> bool:
    if request.method == "POST":
        return "If-None-Exist" in request.headers or b'"PUT"' in (request.body or b"")
    return request.method == "PUT"


def test_a_visit_its_amendment_and_its_retraction_arrive_each_once(world: World) -> None:
    record = visit(70, 75)
    world.take(record)
    made = versions(world)
    amendment = amended(record, rate(80))
    world.take(amendment)
    world.take(retracted(amendment))

    assert set(world.states()) == {"delivered"}
    assert set(made.values()) == {1}
    pulses = [one for one in made if one.startswith("Observation/")]
    assert sorted(len(world.ehr.history(one)) for one in pulses) == [2, 3]
    assert {world.ehr.read(one)["status"] for one in pulses} == {"entered-in-error"}
    assert world.differing() == []


def test_what_is_there_already_is_not_written_again(world: World) -> None:
    record = visit(70, 75)
    world.take(record)
    limits_of(world).sent.clear()

    world.take(amended(record, rate(80)))

    assert sorted(versions(world).values()) == [1, 1, 1, 1, 1, 2]  # one Provenance more


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DROPPED, Fault.LATE, Fault.NOT_SENT])
def test_an_answer_that_is_lost_doubles_nothing(world: World, fault: Fault) -> None:
    troubles = [fault, None, fault]

    def trouble(request: Request) -> Trouble:
        return troubles.pop(0) if troubles and writes(request) else None

    limits_of(world).choose = trouble
    record = visit(70, 75)
    world.accept(record)
    world.settle()
    limits_of(world).land_late()
    world.take(amended(record, rate(80)))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert max(versions(world).values()) == 2
    assert world.differing() == []


def test_a_clinicians_edit_is_held_and_not_overwritten(world: World) -> None:
    record = visit(70)
    receipt = world.take(record)
    (pulse,) = world.of_mapping(receipt, "vital-heart-rate")
    note = [{"text": "Synthetic note: after exercise"}]
    world.ehr.edit(world.there(pulse), note=note)

    world.take(amended(record, rate(80)))

    assert world.ehr.read(world.there(pulse))["note"] == note
    assert [row.reason for row in world.rows("held")] == [f"edited: {pulse} changed in the EHR"]


def test_an_edit_between_reading_and_writing_is_not_lost(world: World) -> None:
    if world.bridge.destination("ehr").guard:
        # R23: what such a server cannot prevent, a person is told at once.
        assert_an_edit_in_between_is_told(world)
        return
    record = visit(70)
    receipt = world.take(record)
    (pulse,) = world.of_mapping(receipt, "vital-heart-rate")
    note = [{"text": "Synthetic note: after exercise"}]

    def edit(request: Request) -> None:
        if writes(request) and pulse.partition("/")[2].encode() in (request.body or b""):
            limits_of(world).before_serving = lambda _request: None
            world.ehr.edit(world.there(pulse), note=note)

    limits_of(world).before_serving = edit
    world.take(amended(record, rate(80)))
    world.settle()

    assert world.ehr.read(world.there(pulse))["note"] == note
    assert len(world.rows("held")) == 1


def assert_an_edit_in_between_is_told(world: World) -> None:
    record = visit(70)
    receipt = world.take(record)
    (pulse,) = world.of_mapping(receipt, "vital-heart-rate")

    def edit(request: Request) -> None:
        if request.method == "PUT" and world.there(pulse) in request.url:
            limits_of(world).before_serving = lambda _request: None
            world.ehr.edit(world.there(pulse), status="corrected")

    limits_of(world).before_serving = edit
    world.take(amended(record, rate(80)))
    world.settle()

    (held,) = world.rows("held")
    assert held.reason.startswith(f"edited: {pulse} changed in the EHR just before ours was")
    assert [one["status"] for one in world.ehr.history(world.there(pulse))][1] == "corrected"

    world.retry(held.id)
    world.settle()
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_bad_resource_is_parked_and_what_needs_it_waits(world: World) -> None:
    limits_of(world).bad = lambda one: one.get("valueQuantity", {}).get("value") == 300
    record = visit(70, 300, 80)
    world.take(record)
    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason.startswith(
        "refused: the EHR will not take Observation of vital-heart-rate"
    )
    outcomes = sorted(item.outcome for item in world.items(parked.id))
    assert outcomes == ["blocked", "created", "created", "created", "refused"]

    limits_of(world).bad = lambda _one: False
    world.retry(parked.id)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert set(versions(world).values()) == {1}


def test_without_its_patient_nothing_goes(world: World) -> None:
    limits_of(world).bad = is_patient
    world.take(visit(70, 75))
    world.settle()

    (parked,) = world.rows("parked")
    outcomes = sorted(item.outcome for item in world.items(parked.id))
    assert outcomes == ["blocked", "blocked", "blocked", "refused"]
    assert [one for one in world.ehr.references() if one.startswith("Observation")] == []


def test_what_was_removed_in_the_ehr_is_not_made_again(world: World) -> None:
    record = visit(70)
    receipt = world.take(record)
    (pulse,) = world.of_mapping(receipt, "vital-heart-rate")
    world.ehr.delete(world.there(pulse))

    world.take(amended(record, rate(80)))
    world.settle()

    assert world.there(pulse) not in world.ehr.references()
    assert [row.reason.partition(":")[0] for row in world.rows("held")] == ["gone"]


@pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.ASSIGNED])
def test_a_gateway_that_says_404_of_what_is_there_is_not_believed_at_once(mode: Mode) -> None:
    world = a_world(mode)
    record = visit(70)
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.accept(amended(record, rate(80)))
    told: list[str] = []

    def twice(request: Request) -> Trouble:
        about = request.url.endswith(world.there(pulse))
        told.extend([request.method] if about else [])
        return Says(status=404) if about and len(told) <= len(("written", "read back")) else None

    world.ehr.transport.choose = twice
    world.settle()

    assert world.rows("held", "parked") == []
    assert world.ehr.read(world.there(pulse))["valueQuantity"]["value"] == 80


@pytest.mark.parametrize("mode", [Mode.BATCH, Mode.SINGLE, Mode.ASSIGNED])
def test_nothing_goes_before_what_it_points_to(mode: Mode) -> None:
    world = a_world(mode)
    world.take(visit(70, 75))

    sent = [codec.decode(one.body or b"") for one in limits_of(world).sent if writes(one)]
    kinds = [
        sorted(entry["resource"]["resourceType"] for entry in one["entry"])
        if one["resourceType"] == "Bundle"
        else one["resourceType"]
        for one in sent
    ]
    expected = {
        Mode.BATCH: ["Organization", "Patient", ["Observation", "Observation"], "Provenance"],
        Mode.SINGLE: ["Organization", "Patient", "Observation", "Observation", "Provenance"],
        Mode.ASSIGNED: ["Organization", "Patient", "Observation", "Observation", "Provenance"],
    }
    assert kinds == expected[mode]


def test_a_server_that_loses_its_guards_is_paused_with_the_reason() -> None:
    world = a_world(Mode.SINGLE)
    limits_of(world).by_none = True

    assert world.bridge.probe_destination("ehr", actor="test").paused == ""

    limits_of(world).bad = of_type("Patient")
    found = world.bridge.probe_destination("ehr", actor="test")
    assert found.mode is Mode.UNPROVEN
    assert "nor what makes ids of its own safe: conditional create by identifier" in found.paused


@pytest.mark.parametrize("mode", [Mode.BATCH, Mode.SINGLE, Mode.ASSIGNED])
def test_4_apart_a_doses_event_is_the_next_to_go_and_a_person_is_told_if_it_is_refused(
    mode: Mode,
) -> None:
    world = a_world(mode, mapped=mappings)
    alone = watch(world)
    limits_of(world).bad = of_type("Encounter")
    world.accept(a_visit_with_an_event())
    world.settle()
    assert world.ehr.all_of(DOSE) == []

    limits_of(world).bad = is_event
    world.retry()
    world.settle()
    assert [row.reason.partition(":")[0] for row in world.rows("parked")] == ["refused"]
    assert ("parked", "started") in [(one["kind"], one["what"]) for one in world.told]

    limits_of(world).bad = lambda _one: False
    alone.clear()
    world.retry()
    world.settle()
    assert alone == []
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []

    world = a_world(mode, mapped=mappings)
    world.take(a_visit_with_an_event())
    kinds = [written(one) for one in limits_of(world).sent if writes(one)]
    (dose,) = [n for n, many in enumerate(kinds) if any(of_type(DOSE)(one) for one in many)]
    assert any(is_event(one) for one in kinds[dose + 1])


# --- what is special about a batch: each of its entries has an answer of its own ------------------


@pytest.mark.parametrize(
    ("said", "stuck"),
    [
        ("429", ""),
        ("503", ""),
        ("401", ""),
        ("409", ""),
        ("500", ""),
        ("", ""),
        (LEFT_OUT, ""),
        ("410", ""),
        ("403", "parked"),
    ],
)
def test_an_entrys_answer_is_about_that_entry_only(said: str, stuck: str) -> None:
    world = a_world(Mode.BATCH)
    server = limits_of(world)
    server.says = said
    asked = 0

    def once(resource: dict[str, Any]) -> bool:
        nonlocal asked
        fast = bool(resource.get("valueQuantity", {}).get("value") == 300)
        asked += fast
        return fast and asked == 1

    server.bad = once
    world.accept(visit(70, 300, 80))
    world.sync()

    (row,) = world.patient_rows()
    assert len([one for one in world.ehr.references() if one.startswith("Observation")]) >= 2
    if said == "401":
        assert "refused our sign-in" in world.paused()
        world.resume()
    if stuck:
        assert row.state == stuck
        world.retry(row.id)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert set(versions(world).values()) == {1}
