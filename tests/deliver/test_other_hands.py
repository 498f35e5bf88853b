"""People at the EHR change and remove things; patients are not mixed up; two EHRs are two."""

from typing import Any

import pytest
from sqlalchemy import update

from fhirbridge.store.tables import record as records
from tests.factories import World, a_short_visit, a_visit, amended, rate

NOTE = [{"text": "Synthetic note: confirmed by phone"}]


def test_safety_13_a_clinicians_edit_is_held_and_never_overwritten(world: World) -> None:
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.ehr.edit(pulse, note=NOTE)
    before = world.ehr.history(pulse)

    world.take(amended(record, rate(90)))
    world.settle()

    (held,) = world.rows("held")
    assert held.reason == f"edited: {pulse} changed in the EHR"
    assert world.ehr.history(pulse) == before

    world.retry(held.id)
    world.settle()

    assert world.rows("held") != []
    assert world.ehr.history(pulse) == before


def test_what_does_not_touch_the_edited_resource_goes_on(world: World) -> None:
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.ehr.edit(pulse, note=NOTE)
    world.take(amended(record, rate(90)))

    world.take(a_short_visit(2))
    world.settle()

    assert len(world.rows("held")) == 1
    assert world.patient_rows()[-1].state == "delivered"


@pytest.mark.parametrize("mapping", ["vital-heart-rate", "patient"])
def test_what_the_ehr_removed_is_held_and_not_made_again(world: World, mapping: str) -> None:
    record = a_short_visit()
    (gone,) = world.of_mapping(world.take(record), mapping)
    world.ehr.delete(gone)

    def change(new: dict[str, Any]) -> None:
        rate(90)(new)
        new["patient"]["language"] = "es"

    world.take(amended(record, change))
    world.settle()

    (held,) = world.rows("held")
    assert held.reason == f"gone: {gone} removed in the EHR"
    assert world.ehr.history(gone)[-1] == {}


def test_content_of_ours_under_another_version_number_is_no_edit(world: World) -> None:
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.ehr.edit(pulse, note=NOTE)
    unedited = world.ehr.history(pulse)[0]
    kind, _, own = pulse.partition("/")
    with world.ehr.storage.atomically():
        world.ehr.model._interactions._store.write(kind, own, unedited)

    world.take(amended(record, rate(90)))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 90


def test_an_ehr_restored_from_a_backup_is_never_overwritten_blindly(world: World) -> None:
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    backup = world.ehr.model.snapshot()
    second = amended(record, rate(80))
    world.take(second)
    world.ehr.model.restore(backup)

    world.take(amended(second, rate(90)))
    world.settle()

    assert [row.reason.split(":")[0] for row in world.rows("held")] == ["edited"]
    assert world.ehr.read(pulse)["valueQuantity"]["value"] == 72


def test_a_resource_that_names_another_patient_is_held_and_not_sent(world: World) -> None:
    receipt = world.accept(a_short_visit())
    for _ in world.drain(world.shared_lane()):
        pass
    with world.store.begin() as tx:
        tx.execute(update(records).where(records.c.id == receipt.id).values(subject="somebody"))
    world.ehr.transport.sent.clear()

    world.settle()

    (held,) = world.rows("held")
    assert held.reason.startswith("wrong-patient:")
    assert world.ehr.transport.sent == []
    assert world.ehr.all_of("Patient") == []


def test_two_patients_of_one_clinic_stay_two(world: World) -> None:
    world.take(a_short_visit(1, patient="pt-1"))
    world.take(a_short_visit(1, patient="pt-2"))

    patients = {one["id"] for one in world.ehr.all_of("Patient")}
    subjects = [one["subject"]["reference"] for one in world.ehr.all_of("Observation")]
    assert len(patients) == 2
    assert sorted(subjects) == sorted(f"Patient/{one}" for one in patients)


def test_an_edit_in_one_ehr_holds_nothing_in_another(world: World) -> None:
    world.connect("other")
    record = a_short_visit()
    (pulse,) = world.of_mapping(world.take(record), "vital-heart-rate")
    world.ehr.edit(pulse, note=NOTE)

    world.take(amended(record, rate(90)))
    world.settle()

    states = {(row.destination, row.state) for row in world.rows()}
    assert ("ehr", "held") in states
    assert ("other", "held") not in states
    assert world.differing("other") == []


def test_the_whole_series_arrives_in_one_version_for_each_content(world: World) -> None:
    for number in range(1, 7):
        world.accept(a_visit(number))

    world.settle()

    assert world.differing() == []
    assert len(world.ehr.all_of("Patient")) == 1
    assert len(world.ehr.all_of("Encounter")) == 6
    for kind in ("Encounter", "MedicationAdministration", "Observation", "DocumentReference"):
        for one in world.ehr.all_of(kind):
            assert len(world.ehr.history(f"{kind}/{one['id']}")) == 1
