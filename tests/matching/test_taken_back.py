"""A chart of the wrong patient, taken back where the EHR has its patients already."""

from collections.abc import Callable
from typing import Any

import pytest

from fhirbridge.reconcile.patients import About
from fhirbridge.records.history import Chart, UnknownChartError
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


# --- somebody else's chart, as a person found out ------------------------------------------------


def test_f8_what_went_to_a_chart_that_a_person_rejected_is_taken_back_from_it() -> None:
    clinic = Clinic(an_ehr_patient())
    receipt = clinic.take(visit())
    clinic.clock.advance(LONG)
    about = About("ehr", clinic.link.lane)
    clinic.bridge.patients.reject(about, "ehr-1", reason="the twin", actor="anna")

    take_back(clinic, receipt.id)
    clinic.sync()

    (pulse,) = clinic.ehr.all_of("Observation")
    assert (pulse["status"], pulse["subject"]) == (
        "entered-in-error",
        {"reference": "Patient/ehr-1"},
    )
    assert set(clinic.states()) == {"delivered"}
    assert clinic.link.state == "held"


def test_f8_what_is_new_still_waits_for_a_person_after_a_rejection() -> None:
    clinic = Clinic(an_ehr_patient())
    receipt = clinic.take(visit())
    about = About("ehr", clinic.link.lane)
    clinic.bridge.patients.reject(about, "ehr-1", reason="the twin", actor="anna")
    take_back(clinic, receipt.id)

    clinic.take(visit(2))
    clinic.settle()

    assert clinic.patient_rows()[-1].state == "held"
    assert [one["status"] for one in clinic.ehr.all_of("Observation")] == ["entered-in-error"]


def test_f8_what_stands_in_an_earlier_chart_than_the_rejected_one_waits() -> None:
    clinic = Clinic(an_ehr_patient(), an_ehr_patient("ehr-2", "SYN-2"))
    receipt = clinic.take(visit())
    desk, about = clinic.bridge.patients, About("ehr", clinic.link.lane)
    desk.reject(about, "ehr-1", reason="the twin", actor="anna")
    desk.link(about, "ehr-2", despite=["identifier"], reason="it is", actor="anna")
    desk.reject(about, "ehr-2", reason="nor this one", actor="anna")

    take_back(clinic, receipt.id)
    clinic.settle()

    # Ours would name ehr-2 now: moved there, it would stand in one more wrong chart.
    assert clinic.patient_rows()[-1].state == "held"
    assert [one["subject"]["reference"] for one in clinic.ehr.all_of("Observation")] == [
        "Patient/ehr-1"
    ]


# --- the EHR's own patient, as those who look see it ---------------------------------------------


def test_f11_a_chart_is_found_by_the_id_that_the_ehr_has_for_its_own_patient() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.take(visit())
    lane = clinic.link.lane

    for named in ("ehr-1", "Patient/ehr-1", lane):
        assert clinic.bridge.chart(named) == Chart(patient=lane)


def test_f11_an_id_that_two_ehrs_gave_to_two_patients_names_nobody() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.take(visit())
    desk, lane = clinic.bridge.patients, clinic.link.lane
    clinic.accept(visit(patient="pt-2"))
    clinic.sync()
    other = next(row.lane for row in clinic.patient_rows() if row.lane != lane)
    desk.link(About("ehr", lane), "ehr-1", despite=[], reason="it is", actor="anna")
    desk.unlink(About("ehr", lane), reason="it is not", actor="anna")
    desk.link(About("ehr", other), "ehr-1", despite=["taken"], reason="this is", actor="anna")

    with pytest.raises(UnknownChartError, match="several patients"):
        clinic.bridge.chart("ehr-1")


def test_f11_the_incident_says_which_of_the_ehrs_patients_it_was() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.take(visit())
    about = About("ehr", clinic.link.lane)
    clinic.bridge.patients.reject(about, "ehr-1", reason="the twin", actor="anna")

    links = clinic.bridge.incident(Chart(patient=about.lane), actor="test")["links"]

    said = [(one["state"], one["ehr_id"], one["actor"]) for one in links]
    assert said == [
        ("linked", "ehr-1", "worker"),
        ("rejected", "ehr-1", "anna"),
        ("held", "", "anna"),
    ]


def test_f19_the_ehrs_own_patients_are_not_counted_as_ours() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.take(visit())

    (status,) = clinic.bridge.status().destinations
    held = {one["type"]: one["resources"] for one in clinic.bridge.holdings("ehr")}

    assert "Patient" not in held
    assert status["resources"] == sum(held.values()) == len(clinic.ledger()) - 1
    assert b'fhirbridge_resources{destination="ehr"} %d.0' % sum(held.values()) in (
        clinic.bridge.metrics()
    )
