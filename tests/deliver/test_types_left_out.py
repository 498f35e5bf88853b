"""What an EHR does not take of a type is skipped, or said by the note; and nothing dangles."""

from typing import Any

import pytest

from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.taken import Taken, TypesError
from fhirbridge.fhir.references import literal_references
from tests.alerts.test_suicidality import a_positive_visit
from tests.deliver.by_mode import a_world, limits_of
from tests.deliver.refusing import of_type
from tests.deliver.test_what_must_never_happen import DOSE, a_visit_with_an_event, is_event, watch
from tests.factories import Record, World, a_short_visit, a_visit, amended, rate
from tests.mapping_sets import mappings

NOTE = "DocumentReference"
SKIP, BY_NOTE, SEND = Taken.SKIP, Taken.NOTE, Taken.SEND


def a_world_that_takes(mode: Mode = Mode.SINGLE, **types: Taken) -> World:
    world = a_world(mode, mapped=mappings)
    world.bridge.set_types("ehr", types, actor="test")
    return world


def a_visit_with_a_dose() -> Record:
    """A short visit that points here and there: conditions, a plan, an order, a dose."""
    whole = a_visit(1)
    parts = ("conditions", "plan", "orders", "administrations")
    return a_short_visit(**{name: whole[name] for name in parts})


def outcomes(world: World) -> dict[str, set[str]]:
    """What became of everything, by type."""
    found: dict[str, set[str]] = {}
    for row in world.rows():
        for item in world.items(row.id):
            found.setdefault(item.type, set()).add(item.outcome)
    return found


def dangling(world: World) -> list[str]:
    """References there to what is not there."""
    there = set(world.ehr.references())
    bodies = [world.ehr.read(one) for one in there]
    named = {f"{k}/{own}" for body in bodies for k, own in literal_references(body)}
    return sorted(named - there)


@pytest.mark.parametrize("mode", [Mode.TRANSACTION, Mode.CREATE_ONLY])
def test_what_is_left_out_is_reported_and_nothing_points_to_it(mode: Mode) -> None:
    world = a_world_that_takes(
        mode, Encounter=SKIP, CarePlan=SKIP, Practitioner=SKIP, MedicationRequest=BY_NOTE
    )
    receipt = world.take(a_visit_with_a_dose())

    assert set(world.states()) == {"delivered"}
    became = outcomes(world)
    assert became["Encounter"] == became["CarePlan"] == became["Practitioner"] == {"skipped"}
    assert became["MedicationRequest"] == {"carried"}
    assert became["Observation"] == {"created"}
    assert dangling(world) == []
    kinds = {one.partition("/")[0] for one in world.ehr.references()}
    assert kinds.isdisjoint({"Encounter", "CarePlan", "Practitioner", "MedicationRequest"})
    (dose,) = world.ehr.all_of(DOSE)
    assert not {"context", "request"} & dose.keys()
    assert dose["performer"][0]["actor"] == {
        "type": "Practitioner",
        "identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1992999999"},
        "display": "Lena Synthetic-Berg",
    }
    shown = world.bridge.status().destinations[0]["not_as_itself"]
    assert shown["skipped"] == 4  # the visit, the plan and two people
    assert shown["carried"] == 1
    record = world.bridge.record(receipt.id, actor="test")
    assert record is not None
    said = [
        i["reason"] for d in record["deliveries"] for i in d["items"] if i["outcome"] == "carried"
    ]
    assert said == [f"by {NOTE}/{world.ehr.all_of(NOTE)[0]['id']}"]


@pytest.mark.parametrize("mode", [Mode.TRANSACTION, Mode.CREATE_ONLY])
def test_a_type_that_is_taken_later_follows_by_plan_and_apply(mode: Mode) -> None:
    world = a_world_that_takes(mode, Encounter=SKIP, MedicationRequest=BY_NOTE)
    record = a_visit_with_a_dose()
    world.take(record)
    world.take(amended(record, rate(91)))

    world.bridge.set_types("ehr", {"Encounter": SEND, "MedicationRequest": SEND}, actor="test")

    planned = [one for row in world.bridge.plan().deliveries for one in row.resources]
    created = sorted(one.resource.partition("/")[0] for one in planned if one.step == "create")
    assert created == ["Encounter", "MedicationRequest", "Provenance"]
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert [len(world.ehr.all_of(kind)) for kind in ("Encounter", "MedicationRequest")] == [1, 1]
    assert dangling(world) == []
    assert world.bridge.plan().deliveries == ()
    if mode is Mode.TRANSACTION:
        # What went without the visit goes once more, with it.
        assert world.ehr.all_of(DOSE)[0].keys() >= {"context", "request"}
        assert world.differing() == []
    report = world.bridge.reconcile("ehr", full=True, actor="test")
    assert (report.waiting, report.repaired) == (0, 0)
    assert set(report.kinds) <= {"altered"}


def test_what_is_there_already_stays_in_step_after_its_type_is_left_out() -> None:
    world = a_world_that_takes()
    record = a_visit_with_a_dose()
    world.take(record)
    world.bridge.set_types("ehr", {"Observation": SKIP}, actor="test")

    world.take(amended(record, rate(91)))

    assert 91 in [
        one.get("valueQuantity", {}).get("value") for one in world.ehr.all_of("Observation")
    ]


def test_a_lost_answer_is_read_back_as_it_was_sent_though_a_type_is_taken_since() -> None:
    world = a_world_that_takes(Encounter=SKIP)
    record = a_visit_with_a_dose()
    world.take(record)
    world.bridge.set_types("ehr", {"Encounter": SEND}, actor="test")
    world.settle()
    before = len(world.ehr.references())

    world.take(amended(record, rate(91)))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.references()) == before + 1  # its Provenance
    assert world.differing() == []


@pytest.mark.parametrize("way", [SKIP, BY_NOTE])
@pytest.mark.parametrize("mode", [Mode.TRANSACTION, Mode.CREATE_ONLY])
def test_safety_04_a_dose_whose_event_is_left_out_goes_after_the_note_that_says_it(
    mode: Mode, way: Taken
) -> None:
    world = a_world_that_takes(mode, Observation=way)
    alone = watch(world)
    limits_of(world).bad = of_type(NOTE)
    world.accept(a_visit_with_an_event())
    world.settle()

    assert world.ehr.all_of(DOSE) == []
    assert [row.reason.partition(":")[0] for row in world.rows("parked")] == ["refused"]

    limits_of(world).bad = lambda _one: False
    alone.clear()
    world.retry()
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of(DOSE)) == 1
    made = [one.partition("/")[0] for one in world.ehr.references()]
    assert made.index(NOTE) < made.index(DOSE)
    assert [one for one in world.ehr.all_of("Observation") if is_event(one)] == []
    assert "carried" in outcomes(world)["Observation"]


def test_without_any_note_nothing_is_called_carried() -> None:
    world = a_world_that_takes()
    world.bridge.set_types("ehr", {"Goal": BY_NOTE}, actor="test")
    limits_of(world).bad = of_type(NOTE)
    world.take(a_visit_with_a_dose())
    world.settle()

    (parked,) = world.rows("parked")
    assert "carried" not in {item.outcome for item in world.items(parked.id)}


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ({"Patient": SKIP}, "Patient cannot be left out"),
        ({NOTE: BY_NOTE}, "is the note itself"),
        ({NOTE: SKIP, "Goal": BY_NOTE}, "no note goes to this destination"),
        ({NOTE: SKIP, "Observation": SKIP}, "a dose would go without its adverse event"),
    ],
)
def test_a_choice_that_would_lose_something_is_refused(types: dict[str, Any], words: str) -> None:
    world = World()
    world.connect()

    with pytest.raises(TypesError) as refused:
        world.bridge.set_types("ehr", types, actor="test")

    assert words in refused.value.message
    assert world.bridge.destination("ehr").types == {}


def test_safety_05_what_a_person_must_hear_of_is_never_skipped() -> None:
    world = a_world_that_takes(Observation=SKIP)
    world.take(a_positive_visit())

    assert set(world.states()) == {"delivered"}
    assert outcomes(world)["Observation"] == {"carried"}


def test_safety_05_an_answer_that_became_positive_is_a_task_where_nothing_can_be_changed() -> None:
    world = a_world(Mode.CREATE_ONLY, mapped=mappings)
    record = a_positive_visit()

    def deny(new: Record) -> None:
        for item in new["assessments"][0]["items"]:
            item["value"] = 0

    first = amended(record, deny)
    world.take(first)
    assert world.bridge.tasks() == []

    world.take({**amended(first), "assessments": record["assessments"]})

    assert {one["what"] for one in world.bridge.tasks()} == {"cannot-update"}
