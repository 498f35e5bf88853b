"""Which resources an export holds: what is asked for, and what may be read."""

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.destinations.errors import DestinationError
from fhirbridge.exports.holdings import Holdings
from fhirbridge.exports.question import ExportError, Question, moment_text
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.store import copying
from tests.exports.conftest import Clinic, resources
from tests.factories import A_DAY, World, a_short_visit, amended, rate, retracted
from tests.mapping_sets import few_mappings


def counted(package: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in resources(package):
        kind = one.partition("/")[0]
        found[kind] = found.get(kind, 0) + 1
    return found


def patient_of(clinic: Clinic, session: str) -> str:
    """Our opaque name of a patient, by one of his record versions."""
    return clinic.world.bridge.chart("", [session]).patient


def test_a_patient_comes_with_the_clinic_it_points_to_and_with_nobody_else(clinic: Clinic) -> None:
    record = clinic.world.evidence("record.accepted")[0].record_id

    package = clinic.export(patient=patient_of(clinic, record))

    found = counted(package)
    assert (found["Patient"], found["Observation"], found["Organization"]) == (1, 2, 1)
    there = set(resources(package))
    for body in resources(package).values():
        assert {f"{kind}/{own}" for kind, own in literal_references(body)} <= there


def test_a_session_comes_with_what_it_points_to(clinic: Clinic) -> None:
    record = clinic.world.evidence("record.accepted")[0].record_id
    chart = clinic.world.bridge.chart("", [record])

    package = clinic.export(patient=chart.patient, sessions=chart.sessions)

    assert counted(package)["Observation"] == 1
    assert counted(package)["Patient"] == 1


def test_a_series_has_all_its_sessions_and_no_other_patient(clinic: Clinic) -> None:
    record = clinic.world.evidence("record.accepted")[0].record_id

    asked = clinic.world.bridge.in_series(Question(destination="ehr"), record)

    assert len(asked.sessions) == 2
    assert asked.patient == patient_of(clinic, record)


@pytest.mark.parametrize(("asked", "observations"), [("clinic-east", 3), ("clinic-west", 0)])
def test_a_clinic_has_what_its_records_made(clinic: Clinic, asked: str, observations: int) -> None:
    package = clinic.export(clinic=asked)

    assert counted(package).get("Observation", 0) == observations


def test_a_range_of_time_begins_with_its_first_day_and_ends_before_its_last(clinic: Clinic) -> None:
    package = clinic.export(begin="2026-03-02T00:00:00.000000Z", end="2026-03-03T00:00:00.000000Z")

    assert counted(package)["Observation"] == 1


def test_only_some_types_are_written_where_only_these_are_asked_for(clinic: Clinic) -> None:
    assert counted(clinic.export(types={"Observation"})) == {"Observation": 3}


def test_what_came_to_be_there_since_a_time_is_written_alone(clinic: Clinic) -> None:
    clinic.world.clock.advance(A_DAY)
    since = moment_text(clinic.world.clock.now())
    clinic.world.take(amended(a_short_visit(1, "pt-2"), rate(90)))

    package = clinic.export(since=since)

    (pulse,) = [one for one in resources(package).values() if one["resourceType"] == "Observation"]
    assert pulse["valueQuantity"]["value"] == 90


def test_what_was_taken_back_is_there_as_entered_in_error(clinic: Clinic) -> None:
    clinic.world.take(retracted(a_short_visit(1, "pt-2")))

    package = clinic.export()

    statuses = [
        one["status"] for one in resources(package).values() if one["resourceType"] == "Observation"
    ]
    assert sorted(statuses) == ["entered-in-error", "final", "final"]


@pytest.mark.parametrize("status", ["withdrawn", "rejected"])
def test_safety_03_what_may_not_be_sent_any_more_is_not_exported(
    clinic: Clinic, status: str
) -> None:
    refused: dict[str, Any] = {
        "id": "c-9",
        "kind": "sharing",
        "status": status,
        "withdrawn_at": "2026-03-20T09:00:00-05:00",
    }
    clinic.world.take(amended(a_short_visit(1, "pt-2"), lambda new: new.update(consents=[refused])))

    package = clinic.export()

    assert counted(package)["Patient"] == 1
    assert set(clinic.made[-1].withheld) == {"consent"}
    gone = patient_of(clinic, clinic.world.evidence("record.accepted")[-1].record_id)
    assert gone.encode() not in b"".join(one.read_bytes() for one in package.rglob("*.ndjson"))
    assert sum(clinic.made[-1].withheld.values()) == 3


def test_safety_03_what_an_operator_stopped_is_not_exported(clinic: Clinic) -> None:
    patient = clinic.world.patient_rows()[0].lane
    clinic.world.bridge.pause(Stopped("ehr", patient), actor="test")

    package = clinic.export()

    assert counted(package)["Patient"] == 1
    assert set(clinic.made[-1].withheld) == {"paused"}


def test_e4_what_changes_meanwhile_does_not_show(tmp_path: Path) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'two.db'}", mapped=few_mappings)
    world.connect()
    for patient in ("pt-1", "pt-2"):
        world.take(a_short_visit(1, patient))
    bridge = world.bridge
    seen: list[Any] = []

    with copying.snapshot(world.store) as tx:
        holdings = Holdings(
            tx,
            vault=world.vault,
            contents=bridge._contents,
            destination=bridge.destination("ehr"),
            question=Question(destination="ehr"),
        )
        for lane, chart in holdings.charts():
            if not seen:
                for patient in ("pt-1", "pt-2", "pt-3"):
                    record = a_short_visit(1, patient)
                    world.take(record if patient == "pt-3" else amended(record, rate(90)))
            seen += [(lane, one.body) for one in chart]

    pulses = [body for _, body in seen if body["resourceType"] == "Observation"]
    assert [one["valueQuantity"]["value"] for one in pulses] == [72, 72]


def test_a_destination_that_is_not_there_is_said_to_be_so(clinic: Clinic, tmp_path: Path) -> None:
    with pytest.raises(DestinationError):
        clinic.world.bridge.export(Question(destination="none"), tmp_path / "x", actor="test")

    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"types": frozenset({"patient"})}, {"begin": "2026-03-02", "end": "2026-03-02"}],
)
def test_a_question_that_can_choose_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(ExportError):
        Question(destination="ehr", **wrong)
