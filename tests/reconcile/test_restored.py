"""An EHR that went back to a backup gets back what it lost, in order; much of it only on a word."""

from typing import Any

import pytest

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.stops import RESTORED
from fhirbridge.reconcile.weigh import Choice
from tests.factories import A_DAY, Record, World, a_pulse, a_short_visit, amended, rate, retracted
from tests.fakes import Fault, Says

LATER = A_DAY / 24
MANY = [a_pulse(f"v-{n}", 60 + n, hour=9 + n) for n in range(6)]


def look(world: World, *, full: bool = False, repair: bool = False) -> Report:
    return world.bridge.reconcile("ehr", full=full, repair=repair, actor="test")


def a_course(world: World) -> list[Record]:
    """Six pulses of two patients, and an hour."""
    records = [a_short_visit(1, patient=f"pt-{n}", vitals=MANY) for n in (1, 2)]
    for record in records:
        world.take(record)
    world.clock.advance(LATER)
    return records


def go_back(world: World, backup: Any) -> None:
    world.clock.advance(LATER)
    world.ehr.model.restore(backup)
    world.clock.advance(LATER)


@pytest.mark.parametrize("full", [False, True])
def test_what_a_backup_lost_or_turned_back_is_sent_again_and_counted(
    world: World, *, full: bool
) -> None:
    first, _ = a_course(world)
    backup = world.ehr.model.snapshot()
    world.take(amended(first, rate(99)))
    go_back(world, backup)
    assert len(world.differing()) == 1

    report = look(world, full=full)
    world.settle()

    assert report.full  # one that is lost is reason to read all
    assert report.kinds == {"older": 1, "missing": 1}  # the pulse, and its Provenance
    assert (report.repaired, report.waiting, report.stop) == (2, 0, "")
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert look(world, full=True).kinds == {}


def test_a_new_patients_whole_visit_comes_back_in_one_piece_after_the_site(world: World) -> None:
    a_course(world)
    world.take(a_short_visit(1, patient="pt-3", vitals=MANY))
    world.clock.advance(LATER)
    backup = world.ehr.model.snapshot()
    lost = set(world.of_mapping(world.take(a_short_visit(1, patient="pt-4")), "patient"))
    lost |= set(world.ehr.references()) - {version.reference for version in backup}
    go_back(world, backup)

    report = look(world)
    (delivery,) = report.deliveries
    carried = {f"{item.type}/{item.resource_id}" for item in world.items(delivery)}
    world.settle()

    assert carried == lost
    assert world.differing() == []
    assert len({row.id for row in world.rows() if row.repairs}) == 1


def test_much_that_is_lost_is_held_and_nothing_goes_until_somebody_says_so(world: World) -> None:
    first, second = a_course(world)
    world.ehr.model.restore(())

    report = look(world, full=True)
    world.take(amended(first, rate(99)))
    world.settle()

    assert report.stop.startswith(RESTORED)
    assert (report.repaired, world.ehr.references()) == (0, [])
    assert report.waiting == len(world.bridge.drift("ehr")) == report.kinds["missing"]
    assert world.paused() == report.stop
    assert look(world).stop == report.stop

    repaired = look(world, repair=True)
    world.settle()

    assert repaired.repaired == report.waiting
    assert (world.paused(), world.bridge.drift("ehr")) == ("", [])
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    world.take(amended(second, rate(98)))
    assert world.differing() == []


def test_an_edit_in_a_restored_ehr_is_not_overwritten_by_the_repair(world: World) -> None:
    first, _ = a_course(world)
    backup = world.ehr.model.snapshot()
    pulses = world.of_mapping(world.take(amended(first, rate(99))), "vital-heart-rate")
    go_back(world, backup)
    note = [{"text": "Synthetic note: after the restore"}]
    world.ehr.edit(pulses[0], note=note)

    report = look(world)
    world.settle()

    assert report.kinds == {"edited": 1, "missing": 1}
    assert world.ehr.read(pulses[0])["note"] == note
    (found,) = world.bridge.drift("ehr")
    assert found["kind"] == "edited"


def test_what_the_record_changed_meanwhile_comes_after_the_repair_and_stays(world: World) -> None:
    a_course(world)
    world.take(a_short_visit(2, patient="pt-2"))
    backup = world.ehr.model.snapshot()
    record = a_short_visit(1, patient="pt-5")
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    go_back(world, backup)
    changed = amended(record, rate(99))
    changed["vitals"].append(a_pulse("v-2", 55, hour=11))
    world.accept(changed)

    look(world)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 99

    world.take(amended(changed, rate(72)))
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 72


def test_a_retraction_that_was_turned_back_is_made_again_and_one_of_nothing_is_not(
    world: World,
) -> None:
    first, _ = a_course(world)
    third = a_short_visit(1, patient="pt-3")
    world.take(a_short_visit(2, patient="pt-2"))
    backup = world.ehr.model.snapshot()
    pulses = world.of_mapping(world.take(third), "vital-heart-rate")
    world.take(retracted(third))
    shorter = amended(first, lambda record: record["vitals"].pop())
    world.take(shorter)
    go_back(world, backup)

    report = look(world, repair=True)
    world.settle()

    assert report.kinds["older"] == 1
    assert set(world.states()) == {"delivered"}
    statuses = [one["status"] for one in world.ehr.all_of("Observation")]
    assert statuses.count("entered-in-error") == 1
    assert world.ehr.history(pulses[0]) == []
    assert look(world, full=True).kinds == {}


def test_a_delivery_that_was_held_because_of_the_restore_goes_on_by_itself(world: World) -> None:
    first, _ = a_course(world)
    backup = world.ehr.model.snapshot()
    second = amended(first, rate(80))
    world.take(second)
    go_back(world, backup)
    world.take(amended(second, rate(90)))
    world.settle()
    assert [row.reason.split(":")[0] for row in world.rows("held")] == ["edited"]

    look(world)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_a_provenance_that_alone_was_lost_comes_back(world: World) -> None:
    a_course(world)
    (lost, *_) = [one for one in world.ehr.references() if one.startswith("Provenance/")]
    kept = tuple(one for one in world.ehr.model.snapshot() if one.reference != lost)
    world.ehr.model.restore(kept)

    report = look(world, full=True)
    world.settle()

    assert report.kinds == {"missing": 1}
    assert len(world.ehr.history(lost)) == 1
    assert look(world, full=True).kinds == {}


def test_two_looks_at_once_send_what_is_lost_once(world: World) -> None:
    a_course(world)
    backup = world.ehr.model.snapshot()
    world.take(a_short_visit(1, patient="pt-3"))
    go_back(world, backup)
    others: list[Report] = []

    def look_too(request: Request) -> None:
        if request.url.endswith("/_search") and not others:
            others.append(Report(destination="ehr", full=True))
            others.append(look(world))
            world.settle()

    world.ehr.transport.before_serving = look_too
    report = look(world, full=True)
    world.settle()

    assert (others[1].repaired > 0, report.repaired) == (True, 0)
    assert sum(row.repairs for row in world.rows()) == 1
    assert world.differing() == []


def test_a_search_that_lags_hides_nothing_since_what_counts_is_read_by_id(world: World) -> None:
    a_course(world)
    full = look(world, full=True)
    found = {"resourceType": "Bundle", "type": "searchset"}
    empty = Says(status=200, body=codec.encode(found))
    world.ehr.transport.choose = lambda request: empty if "_search" in request.url else None

    assert look(world, full=True).kinds == full.kinds == {}


def test_a_second_resource_with_our_identifier_is_reported_and_never_removed(
    world: World,
) -> None:
    a_course(world)
    (pulse, *_) = [one for one in world.ehr.references() if one.startswith("Observation/")]
    copy = {**world.ehr.read(pulse), "id": "copy"}
    put(world, "Observation/copy", copy)

    report = look(world, full=True)

    assert (report.kinds, report.waiting) == ({"duplicated": 1}, 1)
    assert report.unsearched == ()
    (found,) = world.bridge.drift("ehr")
    assert world.bridge.drift_sides(found["id"], actor="ann")["ids"] == ["copy"]
    look(world)
    assert world.bridge.drift("ehr") == [found]  # no look by id can say that it is over
    world.bridge.decide(found["id"], Choice.THEIRS, reason="their own import", actor="ann")
    assert look(world, full=True).waiting == 0
    assert world.ehr.read("Observation/copy")["status"] == "final"


def test_what_another_one_has_under_our_identifier_is_not_made_a_second_time(
    world: World,
) -> None:
    a_course(world)
    (pulse, *_) = [one for one in world.ehr.references() if one.startswith("Observation/")]
    copy = {**world.ehr.read(pulse), "id": "copy"}
    backup = tuple(one for one in world.ehr.model.snapshot() if one.reference != pulse)
    world.ehr.model.restore(backup)
    put(world, "Observation/copy", copy)

    report = look(world, full=True)
    world.settle()

    assert (report.repaired, report.waiting) == (0, 1)
    assert world.ehr.history(pulse) == []


def test_a_duplicate_that_was_removed_waits_for_nobody(world: World) -> None:
    a_course(world)
    (pulse, *_) = [one for one in world.ehr.references() if one.startswith("Observation/")]
    put(world, "Observation/copy", {**world.ehr.read(pulse), "id": "copy"})
    look(world, full=True)
    world.ehr.delete("Observation/copy")

    look(world, full=True)

    assert world.bridge.drift("ehr") == []


def put(world: World, reference: str, body: dict[str, Any]) -> None:
    kind, _, own = reference.partition("/")
    with world.ehr.storage.atomically():
        world.ehr.model._interactions._store.write(kind, own, body)


def a_merged_patient(world: World) -> tuple[Record, str]:
    record = a_short_visit()
    receipt = world.take(record)
    (patient,) = world.of_mapping(receipt, "patient")
    put(world, "Patient/survivor", {"resourceType": "Patient", "id": "survivor"})
    link = {"type": "replaced-by", "other": {"reference": "Patient/survivor"}}
    world.ehr.edit(patient, active=False, link=[link])
    return record, patient


def test_after_a_merge_new_writes_wait_and_the_survivor_is_named(world: World) -> None:
    record, patient = a_merged_patient(world)

    report = look(world)
    world.take(amended(record, rate(90)))
    world.settle()

    assert report.kinds == {"merged": 1}
    (found,) = world.bridge.drift("ehr")
    sides = world.bridge.drift_sides(found["id"], actor="ann")
    assert sides["survivor"] == "Patient/survivor"
    (held,) = world.rows("held")
    assert held.reason.startswith("merged: ")
    assert found["id"] in held.reason
    assert world.ehr.read(patient)["active"] is False


@pytest.mark.parametrize("undone", [True, False])
def test_what_waits_after_a_merge_goes_on_when_it_is_undone_or_somebody_says_so(
    world: World, *, undone: bool
) -> None:
    record, patient = a_merged_patient(world)
    look(world)
    world.take(amended(record, rate(90)))
    world.settle()
    (found,) = world.bridge.drift("ehr")

    if undone:
        put(world, patient, world.ehr.history(patient)[0])
    else:
        world.bridge.decide(found["id"], Choice.OURS, reason="they said so", actor="ann")
    look(world)
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.bridge.drift("ehr") == []
    assert world.ehr.read(patient)["active"] is undone


def test_a_policy_never_undoes_a_merge(world: World) -> None:
    world.bridge.set_drift_policy("ehr", "*", Choice.OURS, actor="ann")
    _, patient = a_merged_patient(world)

    assert look(world).waiting == 1
    world.settle()

    assert world.ehr.read(patient)["active"] is False


def test_what_left_its_record_after_it_was_lost_is_not_brought_back(world: World) -> None:
    a_course(world)
    backup = world.ehr.model.snapshot()
    record = a_short_visit(1, patient="pt-3", vitals=MANY[:2])
    _, removed = world.of_mapping(world.take(record), "vital-heart-rate")
    go_back(world, backup)
    world.ehr.transport.script = [Fault.DROPPED]
    world.take(amended(record, lambda new: new["vitals"].pop()))
    world.settle()
    assert [row.reason.split(":")[0] for row in world.rows("held")] == ["gone"]

    look(world)
    world.settle()

    assert world.ehr.history(removed) == []
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []
