"""Where the EHR names what is new, ours is known by its key, also after its ids were given anew."""

import pytest

from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from fhirbridge.reconcile import stops
from fhirbridge.reconcile.weigh import Choice
from tests.deliver.by_mode import a_world
from tests.factories import A_DAY, World, a_short_visit, amended, rate, retracted
from tests.reconcile.looking import LATER, NOTE, a_pulse_there, look, one_finding


@pytest.fixture
def world() -> World:
    """A bridge and an EHR that gives ids, looked at a moment ago."""
    made = a_world(Mode.ASSIGNED)
    now = made.clock.now()
    with made.store.begin() as tx:
        stops.note(tx, "ehr", now=now, date=now, full=True, stop="")
    return made


def post(world: World, body: dict[str, object]) -> str:
    """Let somebody there make a resource; return its reference."""
    kind = str(body["resourceType"])
    said = world.ehr.model.handle(
        "POST", f"/{kind}", {"Content-Type": codec.FHIR_JSON}, codec.encode(body)
    )
    assert said.status == 201
    return f"{kind}/{codec.decode(said.body)['id']}"


@pytest.mark.parametrize("full", [False, True])
def test_what_is_as_it_was_sent_is_no_finding(world: World, *, full: bool) -> None:
    record, _ = a_pulse_there(world)
    world.take(amended(record, rate(80)))

    report = look(world, full=full)

    assert (report.kinds, report.waiting) == ({}, 0)


@pytest.mark.parametrize("full", [False, True])
def test_an_edit_is_found_under_the_id_there_and_ours_replaces_it_by_choice(
    world: World, *, full: bool
) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.edit(world.there(pulse), note=NOTE)

    look(world, full=full)

    found = one_finding(world)
    assert (f"{found['type']}/{found['resource_id']}", found["kind"]) == (pulse, "edited")
    assert found["elements"] == ["note[0].text"]
    sides = world.bridge.drift_sides(found["id"], actor="test")
    assert sides["ours"]["subject"] == sides["theirs"]["subject"]  # both as the EHR names them

    world.bridge.decide(found["id"], Choice.OURS, reason="a test", actor="test")
    world.settle()
    assert world.differing() == []
    assert len(world.ehr.history(world.there(pulse))) == 3


def test_what_was_deleted_comes_back_by_choice_and_only_once(world: World) -> None:
    _, pulse = a_pulse_there(world)
    world.ehr.delete(world.there(pulse))

    look(world)
    world.bridge.decide(one_finding(world)["id"], Choice.OURS, reason="a test", actor="test")
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert look(world, full=True).kinds == {}


def test_what_a_backup_lost_comes_back_under_new_ids_and_all_points_there(world: World) -> None:
    before = world.ehr.model.snapshot()
    _, pulse = a_pulse_there(world)
    old = world.there(pulse)
    world.ehr.model.restore(before)
    stranger = post(world, {"resourceType": "Organization", "name": "Synthetic Clinic"})
    world.clock.advance(LATER)

    stop = look(world).stop
    assert "restored" in stop
    look(world, full=True, repair=True)
    world.settle()

    assert world.differing() == []
    assert world.there(pulse) in world.ehr.references()
    assert [len(world.ehr.history(one)) for one in (stranger, old) if one == stranger] == [1]
    assert look(world, full=True).kinds == {}


def test_an_id_that_the_ehr_gave_to_somebody_else_is_never_written_over(world: World) -> None:
    before = world.ehr.model.snapshot()
    record, pulse = a_pulse_there(world)
    there = world.there(pulse)
    world.ehr.model.restore(before)
    foreign = ""
    while foreign != there:
        foreign = post(world, {"resourceType": "Observation", "status": "final", "code": {}})

    world.take(amended(record, rate(80)))
    world.settle()

    assert len(world.ehr.history(there)) == 1
    assert "identifier" not in world.ehr.read(there)
    assert [row.reason for row in world.rows("held")] == [f"gone: {pulse} removed in the EHR"]

    look(world, full=True, repair=True)
    world.settle()
    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.history(there)) == 1
    assert world.there(pulse) != there
    assert world.differing() == []


def test_a_second_one_with_our_identifier_is_found(world: World) -> None:
    _, pulse = a_pulse_there(world)
    body = {k: v for k, v in world.ehr.read(world.there(pulse)).items() if k not in ("id", "meta")}
    post(world, body)

    look(world, full=True)

    assert one_finding(world)["kind"] == "duplicated"


def test_what_the_ehr_holds_under_another_id_is_taken_up_and_not_made_again(world: World) -> None:
    """As after a migration there: the same content under new ids."""
    _, pulse = a_pulse_there(world)
    old = world.there(pulse)
    body = {k: v for k, v in world.ehr.read(old).items() if k not in ("id", "meta")}
    moved = post(world, body)
    number = world.ehr.storage.log()
    world.ehr.model.restore(tuple(one for one in number if one.reference != old))
    world.clock.advance(A_DAY)

    look(world, full=True, repair=True)
    world.settle()

    assert world.there(pulse) == moved
    assert [one for one in world.ehr.references() if one.startswith("Observation")] == [moved]
    assert world.differing() == []


def test_a_retraction_after_a_look_says_so_there(world: World) -> None:
    record, pulse = a_pulse_there(world)
    look(world, full=True)

    world.take(retracted(record))
    world.settle()

    assert world.ehr.read(world.there(pulse))["status"] == "entered-in-error"
    assert set(world.states()) == {"delivered"}


def test_o10_two_that_bear_our_identifier_wait_for_a_person(world: World) -> None:
    receipt = world.accept(a_short_visit())
    (pulse,) = world.of_mapping(receipt, "vital-heart-rate")
    (item,) = [one for one in world.items(world.patient_rows()[0].id) if one.type == "Observation"]
    identifier = world.body(item.resource)["identifier"]
    twins = [
        post(
            world,
            {
                "resourceType": "Observation",
                "status": "final",
                "code": {},
                "identifier": identifier,
            },
        )
        for _ in range(2)
    ]
    world.sync()
    world.settle()

    (held,) = world.rows("held")
    assert held.reason == f"doubled: {pulse} is in the EHR more than once"

    for one in twins:
        world.ehr.delete(one)
    world.retry(held.id)
    world.settle()
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


@pytest.mark.parametrize("full", [False, True])
def test_ids_that_were_given_twice_after_a_restore_mix_nothing_up(
    world: World, *, full: bool
) -> None:
    world.take(a_short_visit(patient="pt-0"))
    before = world.ehr.model.snapshot()
    world.take(a_short_visit(patient="pt-1"))
    world.ehr.model.restore(before)
    world.take(a_short_visit(patient="pt-2"))  # gets the ids that pt-1 had
    named = [line.ehr_id for one, line in world.ledger().items() if one.type == "Patient"]
    assert (len(named), len(set(named))) == (3, 2)
    world.clock.advance(LATER)

    look(world, full=full)
    look(world, full=True, repair=True)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    patients = world.ehr.all_of("Patient")
    assert len({one["identifier"][0]["value"] for one in patients}) == len(patients) == 3
    assert look(world).kinds == {}
