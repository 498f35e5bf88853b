"""A chart of the wrong patient, taken back where the EHR has its patients already."""

from fhirbridge.records.history import Chart
from tests.intake.charts import take_back
from tests.matching.clinic import Clinic, an_ehr_patient, visit


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
