"""What a purge does not touch: what others build on, what is in the EHR, what a person must see."""

import re
from datetime import timedelta

import pytest

from tests.facade.reading import Reading
from tests.factories import a_short_visit, amended, rate
from tests.mapping_sets import mappings
from tests.retention.archive import Archive


@pytest.mark.parametrize("full", [False, True])
def test_reconcile_passes_over_what_was_purged_be_it_lost_or_edited(
    archive: Archive, *, full: bool
) -> None:
    archive.take_old(a_short_visit(), a_short_visit(patient="pt-2"))
    archive.purge()
    lost, edited, *_ = [
        one for one in archive.ehrs["ehr"].references() if one.startswith("Observation/")
    ]
    archive.ehrs["ehr"].delete(lost)
    archive.ehrs["ehr"].edit(edited, note=[{"text": "Synthetic note"}])
    requests = len(archive.ehrs["ehr"].requests("POST", "PUT"))

    archive.bridge.reconcile("ehr", full=full, actor="test")
    archive.settle()

    assert archive.bridge.drift("ehr", every=True) == []
    assert len(archive.ehrs["ehr"].requests("POST", "PUT")) == requests


def test_what_waits_for_a_person_in_an_ehr_is_not_purged(archive: Archive) -> None:
    (receipt,) = archive.take_old(a_short_visit())
    pulse = next(one for one in archive.ehrs["ehr"].references() if one.startswith("Observation/"))
    archive.ehrs["ehr"].edit(pulse, note=[{"text": "Synthetic note"}])
    archive.bridge.reconcile("ehr", full=True, actor="test")
    assert archive.bridge.drift("ehr") != []

    assert archive.purge().left == {"unsettled": 1}
    assert archive.purged() == set()
    assert archive.bridge.record(receipt.id, actor="test") is not None


def test_what_all_share_is_handed_on_to_a_chart_that_is_kept() -> None:
    archive = Archive(mapped=mappings)
    (old,) = archive.take_old(a_short_visit())
    archive.take(a_short_visit(patient="pt-2"))
    archive.settle()

    archive.purge()

    assert archive.purged() == {old.id}
    shared = [
        line for line in archive.ledger().values() if line.type in ("Practitioner", "Location")
    ]
    assert shared
    assert all(archive.body(line.resource)["id"] for line in shared)
    practitioner = archive.there(f"{shared[0].type}/{shared[0].resource_id}")
    archive.ehrs["ehr"].delete(practitioner)
    archive.bridge.reconcile("ehr", full=True, actor="test")
    assert archive.bridge.drift("ehr", every=True) != [] or "pending" in archive.states()


def test_an_incident_of_a_patient_who_came_back_takes_back_what_is_kept(archive: Archive) -> None:
    archive.take_old(a_short_visit(1))
    archive.purge()
    new = archive.take(a_short_visit(2))

    done = archive.bridge.retract_chart(
        archive.chart_of(new), reason="Synthetic: wrong patient", actor="test"
    )

    assert done.records == [new.id]
    archive.settle()
    assert set(archive.states()) <= {"delivered", "superseded"}


def test_a_facade_shows_nothing_of_it_and_still_what_all_share() -> None:
    reading = Reading()
    reading.take(visit := a_short_visit())
    reading.take(amended(visit, rate(80)))
    reading.clock.jump(_six_years())
    reading.take(a_short_visit(patient="pt-2"))
    before = {one.identity.type for one in reading.held()}

    done = reading.bridge.purge(2192, actor="test")

    assert (done.charts, done.records) == (1, 2)
    kept = reading.held()
    assert {one.identity.type for one in kept} == before
    assert sum(one.identity.type == "Patient" for one in kept) == 1


def test_a_facade_shows_a_patient_who_comes_back_whole() -> None:
    reading = Reading()
    reading.take(a_short_visit(1))
    reading.clock.jump(_six_years())
    reading.bridge.purge(2192, actor="test")

    reading.take(a_short_visit(2))

    shown = {f"{one.identity.type}/{one.identity.id}" for one in reading.held()}
    named = {
        ref
        for one in reading.held()
        for ref in re.findall(r'"reference":"([^"#]+)"', one.body.decode())
    }
    assert sum(one.startswith("Patient/") for one in shown) == 1
    assert named <= shown


def test_a_patient_who_comes_back_is_compared_again(archive: Archive) -> None:
    archive.take_old(a_short_visit(1))
    archive.purge()
    archive.take(a_short_visit(2))
    archive.settle()
    (patient,) = [one for one in archive.ehr.references() if one.startswith("Patient/")]

    archive.ehr.edit(patient, photo=[{"title": "synthetic"}])
    archive.bridge.reconcile("ehr", full=True, actor="test")

    assert [one["kind"] for one in archive.bridge.drift("ehr")] == ["edited"]


def _six_years() -> timedelta:
    return timedelta(days=2193)
