"""R70: to whom something of one patient went, when, and on which basis; and of no other patient."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.access.tokens import Principal, Role
from fhirbridge.audit.reasons import ReasonError
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.exports.question import Question
from fhirbridge.fhir import codec
from fhirbridge.records.history import Chart
from fhirbridge.reports.catalog import Asked
from fhirbridge.reports.table import Period, Report
from fhirbridge.reports.written import Format, written
from tests.facade.reading import Reading
from tests.factories import World, a_short_visit, amended, rate
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings
from tests.matching.clinic import Clinic, an_ehr_patient, visit
from tests.reports.stocks import rows

SIX_YEARS = Period(since=date(2026, 1, 1), until=date(2032, 6, 1))


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    made.connect("second")
    return made


def account(world: World, clinic_id: str, period: Period = SIX_YEARS) -> Report:
    patient = world.bridge.patient_named(clinic_id)
    return world.bridge.report("disclosures", Asked(period=period, patient=patient), actor="test")


def told(report: Report) -> list[tuple[Any, ...]]:
    return [(r["recipient"], r["what"], r["of"], r["answer"]) for r in rows(report, "disclosures")]


def test_r70_every_request_of_every_destination_is_listed_and_none_of_another_patient(
    world: World,
) -> None:
    first = a_short_visit(1, patient="pt-1")
    world.take(first)
    world.take(a_short_visit(1, patient="pt-2"))
    world.take(amended(first, rate(80)))

    report = account(world, "pt-1")

    sent = [one for one in told(report) if one[1].startswith("sent")]
    assert sorted({one[0] for one in sent}) == ["ehr", "second"]
    assert len(sent) == 4
    assert all(one[3] for one in sent)
    assert all("Observation x1" in one[2] for one in sent)
    own = {row["record"] for row in rows(report, "disclosures") if row["record"]}
    assert own.isdisjoint(
        {row["record"] for row in rows(account(world, "pt-2"), "disclosures") if row["record"]}
    )


def test_r70_each_request_in_the_evidence_of_his_lane_is_in_the_account(world: World) -> None:
    world.take(a_short_visit(1, patient="pt-1"))
    world.take(a_short_visit(2, patient="pt-1"))
    lane = world.bridge.patient_named("pt-1")
    own = {row.id for row in world.rows() if row.lane == lane}

    report = account(world, "pt-1")

    started = {row.id for row in world.evidence("delivery.started") if row.delivery_id in own}
    assert started == {row["evidence"] for row in rows(report, "disclosures")}
    assert len(started) == 4


def test_r70_a_disclosure_has_the_basis_of_its_time(world: World) -> None:
    world.take(a_short_visit(1))
    world.clock.advance(timedelta(days=1))
    world.bridge.set_legal_basis("ehr", "Treatment: agreement of May", actor="test")
    world.clock.advance(timedelta(days=1))
    world.take(a_short_visit(2))
    world.clock.advance(timedelta(days=1))
    world.bridge.set_legal_basis("ehr", "Treatment: agreement of June", actor="test")

    report = account(world, "pt-1")

    bases = {
        (row["recipient"], row["legal_basis"])
        for row in rows(report, "disclosures")
        if row["what"].startswith("sent")
    }
    assert bases == {
        ("ehr", None),
        ("ehr", "Treatment: agreement of May"),
        ("second", None),
    }
    (ehr, second) = rows(report, "recipients")
    assert (ehr["legal_basis"], second["legal_basis"]) == ("Treatment: agreement of June", None)
    assert b"agreement" not in b"".join(
        row.detail.encode() for row in world.evidence("destination.legal-basis")
    )


def test_a_legal_basis_is_one_line_about_a_destination_that_is_there(world: World) -> None:
    with pytest.raises(ReasonError):
        world.bridge.set_legal_basis("ehr", "two\nlines", actor="test")
    with pytest.raises(DestinationError):
        world.bridge.set_legal_basis("nowhere", "basis", actor="test")


def test_r70_packages_reports_and_who_looked_are_listed(world: World, tmp_path: Any) -> None:
    receipt = world.take(a_short_visit(1))
    other = world.take(a_short_visit(1, patient="pt-2"))
    lane = world.bridge.patient_named("pt-1")
    world.bridge.pack_incident(Chart(patient=lane), tmp_path / "pack", actor="auditor")
    world.bridge.record(receipt.id, actor="nurse")
    world.bridge.record(other.id, actor="nurse")
    world.bridge.record("nobody", actor="nurse")
    world.bridge.report("adverse-events", Asked(period=SIX_YEARS), actor="quality")
    world.bridge.report("access", Asked(period=SIX_YEARS), actor="quality")
    account(world, "pt-2")

    report = account(world, "pt-1")

    out = [(row["by"], row["what"].split(":")[0]) for row in rows(report, "disclosures")]
    assert ("auditor", "packed the evidence of the chart") in out
    assert [who for who, _ in out].count("quality") == 1
    assert "test" not in [who for who, _ in out]  # the account of another patient
    looked = [(row["by"], row["record"]) for row in rows(report, "uses")]
    assert looked == [("nurse", receipt.id)]


def test_r70_asking_an_ehr_who_a_patient_is_tells_it_of_him() -> None:
    clinic = Clinic(an_ehr_patient())
    clinic.take(visit())
    lane = clinic.link.lane

    report = clinic.bridge.report(
        "disclosures", Asked(period=SIX_YEARS, patient=lane), actor="test"
    )

    assert "asked who this patient is, by name, birth date or number" in [
        row["what"] for row in rows(report, "disclosures")
    ]


def test_r70_only_days_of_the_period_and_after_six_years_all_of_it(world: World) -> None:
    world.take(a_short_visit(1))
    world.clock.advance(timedelta(days=6 * 365))
    late = Period(since=date(2032, 1, 1), until=date(2032, 12, 31))

    assert len(told(account(world, "pt-1"))) == 2
    ((_, what, _, _),) = told(account(world, "pt-1", late))  # the account that was just given
    assert what.startswith("report disclosures")


def test_part_2_is_said_by_the_label_and_the_notice_is_called_not_verified(world: World) -> None:
    consents = [
        {"id": kind, "kind": kind, "status": "active", "signed_at": "2026-01-01T08:00:00-05:00"}
        for kind in ("sharing", "part-2")
    ]
    world.take(a_short_visit(1, labels=["part-2"], consents=consents))

    report = account(world, "pt-1")

    assert {row["part_2"] for row in rows(report, "disclosures")} == {"yes"}
    assert "not verified" in report.notes[1]


def test_safety_03_the_account_of_disclosures_shows_ids_and_no_content() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    record, tokens = record_with_canaries()
    world.take(record)

    report = account(world, record["patient"]["id"])

    assert len(told(report)) == 1
    for form in Format:
        assert hits(written(report, form, made_at=world.clock.now()), tokens) == []
    (noted,) = world.evidence("report.made")
    assert hits(noted.detail.encode(), tokens) == []
    assert codec.decode(noted.detail.encode())["of_patients"] is True


def test_r70_what_a_reader_was_shown_of_the_patient_at_a_facade_is_listed(tmp_path: Path) -> None:
    world = Reading()
    world.take(a_short_visit(1, patient="pt-1"))
    world.take(a_short_visit(1, patient="pt-2"))
    reader = Principal(id="0" * 32, name="hospital", role=Role.READER, facade="portal")
    (own,) = [
        one.identity.id
        for one in world.held()
        if one.identity.type == "Observation" and one.lane == world.bridge.patient_named("pt-1")
    ]
    world.bridge.facade_resource(reader, "Observation", own)
    for number, patient in enumerate(("", world.bridge.patient_named("pt-2"))):
        question = Question(destination="portal", patient=patient)
        world.bridge.export(question, tmp_path / f"export-{number}", actor="test")

    mine, others = (
        [one for one in told(account(world, patient)) if "report" not in one[1]]
        for patient in ("pt-1", "pt-2")
    )
    exported = ("a folder of this machine", "exported what portal has", "", None)

    assert mine[0][:2] == ("portal", "put resources on its facade: 7")
    assert mine[1:] == [("portal", "read at its facade: read", "Observation", "ok"), exported]
    assert others[1:] == [exported, exported]
