"""An EHR that changes nothing: each thing once, a change by an addendum, the rest is told."""

from typing import Any

import pytest

from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.taken import Taken
from fhirbridge.egress.exchange import Request
from fhirbridge.outbox.tasks import TaskError
from tests.deliver.by_mode import a_world, limits_of
from tests.deliver.test_by_mode import writes
from tests.factories import World, a_pulse, a_short_visit, a_visit, amended, rate, retracted
from tests.fakes import Fault, Trouble
from tests.mapping_sets import mappings, note_mappings

NOTE = "DocumentReference"


@pytest.fixture
def world() -> World:
    return a_world(Mode.CREATE_ONLY, mapped=note_mappings)


def visit(*pulses: int) -> dict[str, Any]:
    return a_short_visit(vitals=[a_pulse(f"v-{n}", one) for n, one in enumerate(pulses)])


def outcomes(world: World, kind: str) -> list[str]:
    """What became of each resource of a type in the newest delivery of the patient."""
    items = world.items(world.patient_rows()[-1].id)
    return sorted(item.outcome for item in items if item.type == kind)


def ours(world: World) -> list[dict[str, Any]]:
    """Everything there but what the probe could not remove."""
    found = [world.ehr.read(one) for one in world.ehr.references()]
    return [one for one in found if "Synthetic-Probe" not in str(one.get("name"))]


def keys(world: World) -> list[str]:
    """The identifier or tag of everything there, as often as it stands there."""
    found = []
    for body in ours(world):
        numbers = [one["value"] for one in body.get("identifier", [])]
        found += numbers or [one["code"] for one in body["meta"]["tag"]]
    return found


def said(world: World) -> str:
    """The identifier of the document that no other one replaces."""
    documents = world.ehr.all_of(NOTE)
    replaced = {
        link["target"]["reference"] for one in documents for link in one.get("relatesTo", [])
    }
    (last,) = [one for one in documents if f"{NOTE}/{one['id']}" not in replaced]
    return str(last["id"])


def test_r22_a_probe_that_sees_no_update_and_no_deletion_chooses_it_and_names_what_stays(
    world: World,
) -> None:
    found = world.bridge.destination("ehr")

    assert (found.mode, found.guard, found.paused) == (Mode.CREATE_ONLY, "", "")
    assert (found.traits["update"], found.traits["delete"]) == (False, False)
    assert len(found.traits["left_behind"]) == 2


def test_each_resource_is_created_once_and_nothing_that_is_there_is_asked_to_change(
    world: World,
) -> None:
    record = visit(70, 75)
    world.take(record)
    world.take(amended(record, rate(80)))

    assert set(world.states()) == {"delivered"}
    assert {one.method for one in limits_of(world).sent if writes(one)} == {"POST"}
    assert len(keys(world)) == len(set(keys(world)))
    assert all(len(world.ehr.history(one)) == 1 for one in world.ehr.references())


def test_an_amendment_is_an_addendum_that_replaces_the_note_before(world: World) -> None:
    record = visit(70, 75)
    receipt = world.take(record)
    (note,) = [world.there(one) for one in world.of_mapping(receipt, "session-note")]

    world.take(amended(record, rate(80)))

    added = world.ehr.read(f"{NOTE}/{said(world)}")
    assert added["relatesTo"] == [{"code": "replaces", "target": {"reference": note}}]
    assert added["content"] != world.ehr.read(note)["content"]
    assert outcomes(world, "Observation") == ["carried"]
    (carried,) = [i for i in world.items(world.patient_rows()[-1].id) if i.type == "Observation"]
    assert carried.reason.endswith(f"said by {NOTE}/{added['id']}")
    (provenance,) = [
        one
        for one in world.ehr.all_of("Provenance")
        if any(t["reference"] == f"{NOTE}/{added['id']}" for t in one["target"])
    ]
    assert len(provenance["target"]) == 1
    assert world.bridge.tasks() == []


def test_what_is_amended_and_amended_back_is_said_anew_each_time(world: World) -> None:
    first = visit(70)
    world.take(first)
    second = amended(first, rate(80))
    world.take(second)
    third = amended(second, rate(70))
    world.take(third)

    documents = world.ehr.all_of(NOTE)
    assert len(documents) == 3
    newest = world.ehr.read(f"{NOTE}/{said(world)}")
    assert newest["relatesTo"][0]["target"]["reference"] == f"{NOTE}/{documents[1]['id']}"
    # The pulse there was never another one.
    assert outcomes(world, "Observation") == ["unchanged"]

    world.take(amended(third))

    assert len(world.ehr.all_of(NOTE)) == 3  # nothing new is said


def test_a_dose_that_cannot_be_changed_is_said_and_is_a_persons_to_put_right() -> None:
    world = a_world(Mode.CREATE_ONLY, mapped=mappings)
    record = a_visit(1)
    world.take(record)
    assert world.bridge.tasks() == []

    def change(new: dict[str, Any]) -> None:
        new["administrations"][0]["dose"]["value"] = 40

    world.take(amended(record, change))

    (task,) = world.bridge.tasks()
    assert task["what"] == "cannot-update"
    assert task["in_the_ehr"].startswith("MedicationAdministration/")
    assert task["reason"].endswith(f"said by {NOTE}/{said(world)}")


@pytest.mark.parametrize("fault", [Fault.LOST, Fault.DROPPED, Fault.LATE, Fault.NOT_SENT])
def test_r07_an_answer_that_is_lost_doubles_nothing(world: World, fault: Fault) -> None:
    troubles = [fault, None, fault, fault, None]

    def trouble(request: Request) -> Trouble:
        return troubles.pop(0) if troubles and writes(request) else None

    limits_of(world).choose = trouble
    record = visit(70, 75)
    world.accept(record)
    world.settle()
    troubles += [fault, None, fault]
    world.take(amended(record, rate(80)))
    world.settle()
    limits_of(world).land_late()

    assert set(world.states()) == {"delivered"}
    assert len(keys(world)) == len(set(keys(world)))
    assert len(world.ehr.all_of(NOTE)) == 2


def test_r25_a_retraction_says_so_in_words_and_is_a_task_until_a_person_closes_it(
    world: World,
) -> None:
    record = visit(70, 75)
    world.take(record)
    world.take(retracted(record))

    added = world.ehr.read(f"{NOTE}/{said(world)}")
    assert added["status"] == "current"
    assert "entered in error and has been taken back" in added["description"]
    assert outcomes(world, "Observation") == ["cannot-retract", "cannot-retract"]
    tasks = world.bridge.tasks()
    assert {one["what"] for one in tasks} == {"cannot-retract"}
    assert len(tasks) == 2
    assert world.bridge.status().tasks == tasks
    (destination,) = world.bridge.status().destinations
    assert destination["not_as_itself"]["cannot-retract"] == 2
    metric = b'fhirbridge_not_as_itself{destination="ehr",outcome="cannot-retract"} 2.0'
    assert metric in world.bridge.metrics()
    assert ("by-hand", "started") in [(one["kind"], one["what"]) for one in world.told]

    world.bridge.close_tasks(tasks[0]["task"], reason="struck by the records office", actor="ana")

    assert world.bridge.tasks() == tasks[1:]
    (entry,) = world.evidence("delivery.by-hand")
    assert (entry.actor, entry.outcome) == ("ana", "cannot-retract")
    assert "struck by" not in entry.detail  # a person's words are sealed
    (said_of_it,) = world.bridge.reasons("ehr", actor="ana")
    assert said_of_it["reason"] == "struck by the records office"

    world.bridge.close_tasks(tasks[1]["task"].partition("/")[0], reason="the rest", actor="ana")

    assert world.bridge.tasks() == []
    world.sync()
    assert [one["what"] for one in world.told if one["kind"] == "by-hand"] == ["started", "ended"]
    with pytest.raises(TaskError):
        world.bridge.close_tasks(tasks[0]["task"], reason="again", actor="ana")


def test_r25_a_row_that_comes_back_is_no_task_any_more(world: World) -> None:
    record = visit(70, 75)
    world.take(record)
    short = amended(record, lambda new: new["vitals"].pop())
    world.take(short)
    assert [one["what"] for one in world.bridge.tasks()] == ["cannot-retract"]

    world.take(amended(short, lambda new: new["vitals"].append(record["vitals"][1])))

    assert world.bridge.tasks() == []
    assert outcomes(world, "Observation") == ["unchanged"]


def test_a_refused_addendum_leaves_what_it_was_to_say_waiting_and_goes_after_a_retry(
    world: World,
) -> None:
    record = visit(70)
    world.take(record)
    limits_of(world).bad = lambda one: bool(one.get("relatesTo"))
    world.take(amended(record, rate(80)))
    world.settle()

    (parked,) = world.rows("parked")
    assert parked.reason.startswith(f"refused: the EHR will not take {NOTE} of addendum")
    assert outcomes(world, "Observation") == ["blocked"]

    limits_of(world).bad = lambda _one: False
    world.retry(parked.id)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert outcomes(world, "Observation") == ["carried"]


def test_a_note_that_is_there_stays_in_step_after_its_type_is_left_out(world: World) -> None:
    record = visit(70)
    world.take(record)
    world.bridge.set_types("ehr", {NOTE: Taken.SKIP}, actor="test")

    world.take(amended(record, rate(80)))
    world.take(a_short_visit(2))

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of(NOTE)) == 2
    assert outcomes(world, NOTE) == ["skipped"]


def test_an_older_addendum_never_goes_after_a_newer_one(world: World) -> None:
    record = visit(70)
    world.take(record)
    limits_of(world).bad = lambda one: bool(one.get("relatesTo"))
    second = amended(record, rate(80))
    world.take(second)
    world.settle()
    (parked,) = world.rows("parked")
    limits_of(world).bad = lambda _one: False

    world.take(amended(second, rate(90)))
    world.settle()
    world.retry()
    world.settle()

    assert world.rows("parked", "held") == []
    assert {row.id: row.state for row in world.rows()}[parked.id] == "superseded"
    assert len(world.ehr.all_of(NOTE)) == 2


def test_safety_13_what_stands_in_the_wrong_chart_is_never_said_in_another_one(
    world: World,
) -> None:
    record = visit(70)
    world.take(record)
    chart = world.bridge.chart(world.patient_lane().lane)
    world.bridge.retract_chart(chart, reason="mixed up", actor="test")
    world.sync()
    wrong = len(world.ehr.all_of(NOTE))
    right = amended(record)
    right["patient"] = {**record["patient"], "id": "pt-2"}

    world.take(right)
    world.settle()

    (held,) = world.rows("held")
    assert held.reason.startswith("other-chart: ")
    assert len(world.ehr.all_of(NOTE)) == wrong
    assert {one["what"] for one in world.bridge.tasks()} == {"cannot-retract"}


def test_a_plan_says_what_becomes_of_an_amendment(world: World) -> None:
    record = visit(70)
    world.take(record)
    world.accept(amended(record, rate(80)))

    (planned,) = world.bridge.plan().deliveries
    steps = {one.resource.partition("/")[0]: (one.step, one.reason) for one in planned.resources}

    assert planned.step == "send"
    assert steps[NOTE] == ("create", "as an addendum")
    assert steps["Observation"] == ("not-sent", "a note is to say it")


def test_an_ehr_that_takes_changes_from_now_on_gets_what_it_did_not_take(world: World) -> None:
    record = visit(70, 75)
    receipt = world.take(record)
    pulses = [world.there(one) for one in world.of_mapping(receipt, "vital-heart-rate")]
    world.take(amended(record, lambda new: new.update(vitals=[a_pulse("v-0", 80)])))
    assert len(world.bridge.tasks()) == 1
    limits_of(world).only_creates = False

    found = world.bridge.probe_destination("ehr", actor="test")
    world.settle()

    assert found.mode is Mode.ASSIGNED
    assert world.rows("held", "parked") == []
    shown = sorted(
        (one["status"], str(one["valueQuantity"]["value"])) for one in map(world.ehr.read, pulses)
    )
    assert shown == [("entered-in-error", "75"), ("final", "80")]
    assert world.bridge.tasks() == []
    assert world.bridge.plan().deliveries == ()


def test_a_note_that_the_ehr_marks_as_replaced_is_no_edit(world: World) -> None:
    record = visit(70)
    receipt = world.take(record)
    (note,) = [world.there(one) for one in world.of_mapping(receipt, "session-note")]
    world.take(amended(record, rate(80)))
    world.ehr.edit(note, status="superseded")

    report = world.bridge.reconcile("ehr", full=True, actor="test")

    assert (report.kinds, report.waiting) == ({}, 0)


def test_a_full_look_finds_all_as_it_should_be(world: World) -> None:
    record = visit(70, 75)
    world.take(record)
    second = amended(record, rate(80))
    world.take(second)
    world.take(retracted(second))

    report = world.bridge.reconcile("ehr", full=True, actor="test")

    assert (report.kinds, report.waiting, report.stop) == ({}, 0, "")
    assert report.compared == len(ours(world))
