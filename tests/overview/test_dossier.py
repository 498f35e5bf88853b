"""safety.md 13: the package of one patient's chart holds nobody else's demographics."""

from pathlib import Path
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records.history import Chart
from tests.matching.clinic import Clinic, an_ehr_patient, visit
from tests.matching.theirs.hospital import Hospital, a_numbered_visit, an_encounter

SOMEBODY_ELSE: dict[str, Any] = {"name": [{"family": "SYNTHETIC ELSEWHERE", "given": ["Other"]}]}


def test_safety_13_who_else_an_ehr_showed_when_it_was_asked_who_the_patient_is_is_not_packed(
    tmp_path: Path,
) -> None:
    clinic = Clinic(an_ehr_patient(), an_ehr_patient("ehr-2", **SOMEBODY_ELSE))
    clinic.take(visit())
    target = tmp_path / "pack"

    packed = clinic.bridge.pack_incident(Chart(patient=clinic.link.lane), target, actor="test")

    files = {one: one.read_bytes() for one in target.rglob("*") if one.is_file()}
    assert [one for one, raw in files.items() if b"ELSEWHERE" in raw] == []
    rows = [codec.decode(row) for row in files[target / "evidence.ndjson"].splitlines()]
    (asked,) = [row for row in rows if row.get("withheld")]
    assert asked["action"] == "delivery.answered"
    assert (len(asked["payload_digest"]), asked["sound"]) == (64, True)
    assert not {"payload", "payload_salt"} & set(asked)
    assert packed.unsound == 0
    assert "what an EHR answered when it was asked who the patient is" in " ".join(
        (target / "index.txt").read_text().split()
    )


def test_safety_13_whose_visit_an_ehr_showed_for_a_number_is_not_packed(tmp_path: Path) -> None:
    of_another = an_encounter(patient="ehr-2", reasonCode=[{"text": "SYNTHETIC ELSEWHERE"}])
    hospital = Hospital(of_another)
    hospital.take(a_numbered_visit())
    target = tmp_path / "pack"

    hospital.bridge.pack_incident(Chart(patient=hospital.link.lane), target, actor="test")

    files = {one: one.read_bytes() for one in target.rglob("*") if one.is_file()}
    assert [one for one, raw in files.items() if b"ELSEWHERE" in raw] == []
    rows = [codec.decode(row) for row in files[target / "evidence.ndjson"].splitlines()]
    assert len([row for row in rows if row.get("withheld")]) == 2
    assert len([row for row in rows if row["action"] == "theirs.decided"]) == 1
