"""A chart of the wrong patient, taken back where the EHR has its patients already."""

from collections.abc import Callable
from typing import Any

import pytest

from fhirbridge.reconcile.patients import About
from fhirbridge.records.history import Chart
from tests.deliver.refusing import heal, refuse
from tests.factories import AFTER_A_LEASE, Record, a_pulse, retracted
from tests.intake.charts import take_back
from tests.matching.clinic import Clinic, an_ehr_patient, put, visit

LONG = 6 * AFTER_A_LEASE  # longer than a link is relied on
TakeBack = Callable[[Clinic, Any, Record], object]


def ways_back(clinic: Clinic, kind: str) -> list[str]:
    """What would become of each resource of a type, as the incident lists it."""
    chart = Chart(patient=clinic.patient_lane().lane)
    there = clinic.bridge.incident(chart, actor="test")["there"]
    return [one["way_back"] for one in there if one["resource"].startswith(f"{kind}/")]


def test_safety_13_the_ehrs_own_patient_is_nobodys_task() -> None:
    clinic = Clinic(an_ehr_patient())
    receipt = clinic.take(visit())

    done = take_back(clinic, receipt.id)
    clinic.sync()

    assert done.by_hand == []
    assert {one["resource"].split("/")[0] for one in done.retracted} >= {"Observation"}
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]
    assert set(clinic.states()) == {"delivered"}


def test_safety_13_the_ehrs_own_patient_is_said_to_stay() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.take(visit())

    assert ways_back(clinic, "Patient") == ["stays: it is the EHR's own patient"]
    assert ways_back(clinic, "Observation") == ["entered in error"]


# --- somebody dead, or out of use --------------------------------------------------------------

TAKEN_BACK: dict[str, TakeBack] = {
    "by incident": lambda clinic, receipt, _record: take_back(clinic, receipt.id),
    "by the clinic": lambda clinic, _receipt, record: clinic.accept(retracted(record)),
}
PAST_USE: dict[str, dict[str, Any]] = {
    "dead": {"deceasedDateTime": "2026-02-28"},
    "out of use": {"active": False},
}


@pytest.mark.parametrize("how", TAKEN_BACK)
@pytest.mark.parametrize("now", PAST_USE)
def test_safety_13_the_chart_of_somebody_dead_or_out_of_use_is_taken_back(
    now: str, how: str
) -> None:
    clinic = Clinic(an_ehr_patient())
    record = visit()
    receipt = clinic.take(record)
    put(clinic.ehr, an_ehr_patient(**PAST_USE[now]))
    clinic.clock.advance(LONG)

    TAKEN_BACK[how](clinic, receipt, record)
    clinic.sync()

    assert set(clinic.states()) == {"delivered"}
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]


def test_safety_13_a_person_said_that_it_is_the_dead_and_it_is_taken_back_for_good() -> None:
    clinic = Clinic(an_ehr_patient(deceasedDateTime="2026-02-28"))
    receipt = clinic.take(visit())
    desk = clinic.bridge.patients
    about = About("ehr", clinic.link.lane)
    desk.link(about, "ehr-1", despite=["deceased"], reason="it is, all the same", actor="anna")
    clinic.sync()
    assert clinic.charted() == {"ehr-1"}
    clinic.clock.advance(LONG)

    take_back(clinic, receipt.id)
    clinic.sync()

    assert set(clinic.states()) == {"delivered"}
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]


@pytest.mark.parametrize("now", PAST_USE)
def test_safety_10_what_is_new_still_waits_after_a_visit_was_taken_back(now: str) -> None:
    clinic = Clinic(an_ehr_patient())
    receipt = clinic.take(visit())
    put(clinic.ehr, an_ehr_patient(**PAST_USE[now]))
    clinic.clock.advance(LONG)
    take_back(clinic, receipt.id)
    clinic.sync()

    clinic.take(visit(2))

    assert clinic.patient_rows()[-1].state == "held"
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]


@pytest.mark.parametrize("how", TAKEN_BACK)
@pytest.mark.parametrize("now", PAST_USE)
@pytest.mark.parametrize("looked", [False, True])
def test_safety_13_a_visit_that_waits_holds_up_nothing_that_is_taken_back(
    now: str, how: str, *, looked: bool
) -> None:
    clinic = Clinic(an_ehr_patient())
    record = visit()
    receipt = clinic.take(record)
    put(clinic.ehr, an_ehr_patient(**PAST_USE[now]))
    clinic.clock.advance(LONG)
    clinic.accept(visit(2))
    if looked:
        clinic.sync()
        clinic.clock.advance(LONG)

    TAKEN_BACK[how](clinic, receipt, record)
    clinic.settle()

    states = [row.state for row in clinic.patient_rows()]
    assert (states[:2], set(states[2:])) == (["delivered", "held"], {"delivered"})
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]


def test_safety_10_who_was_linked_for_what_is_taken_back_is_asked_of_again() -> None:
    clinic = Clinic(an_ehr_patient())
    receipt = clinic.take(visit())
    put(clinic.ehr, an_ehr_patient(active=False))
    clinic.clock.advance(LONG)
    take_back(clinic, receipt.id)
    about = About("ehr", clinic.link.lane)
    clinic.bridge.patients.unlink(about, reason="synthetic doubt", actor="anna")
    clinic.bridge.patients.link(about, "ehr-1", despite=(), reason="it is", actor="anna")
    clinic.sync()

    clinic.take(visit(2))

    assert clinic.patient_rows()[-1].state == "held"
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]


# --- the delivery that brought the patient was closed ------------------------------------------


@pytest.mark.parametrize("how", TAKEN_BACK)
def test_safety_13_a_first_visit_that_was_refused_in_part_is_taken_back(how: str) -> None:
    clinic = Clinic(an_ehr_patient())
    record = visit()
    record["vitals"] += [a_pulse("v-2", 99)]
    refuse(clinic, lambda one: one.get("valueQuantity", {}).get("value") == 99)
    receipt = clinic.accept(record)
    clinic.settle()
    assert [row.state for row in clinic.patient_rows()] == ["parked"]
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["final"]
    heal(clinic)
    clinic.clock.advance(LONG)

    TAKEN_BACK[how](clinic, receipt, record)
    clinic.settle()

    assert [row.state for row in clinic.patient_rows()] == ["superseded", "delivered"]
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]
    desk = clinic.bridge.patients
    about = About("ehr", clinic.link.lane)
    desk.unlink(about, reason="synthetic doubt", actor="anna")
    assert desk.link(about, "ehr-1", despite=(), reason="it is", actor="anna").state == "linked"
