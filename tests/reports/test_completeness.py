"""R55: all that came in is somewhere, the counts add up, and the EHR shows what is said of it."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from fhirbridge.fhir import codec
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.reports.fates import Fate
from fhirbridge.reports.table import Period, Report
from fhirbridge.reports.written import Format, written
from fhirbridge.store.tables import delivery_item, ledger, metadata, record
from tests.factories import World, a_pulse, a_short_visit, amended, rate, retracted
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings

NOTE = [{"text": "Synthetic note: confirmed by phone"}]
WITHDRAWN = [{"id": "cs-1", "kind": "sharing", "status": "withdrawn",
              "withdrawn_at": "2026-03-01T08:00:00-05:00"}]  # fmt: skip


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def reported(world: World, *, live: bool = False, destination: str = "", days: int = 9) -> Report:
    today = world.clock.now().date()
    period = Period(since=today - timedelta(days=days), until=today)
    return world.bridge.completeness(period, destination=destination, live=live, actor="test")


def rows(report: Report, name: str) -> list[dict[str, Any]]:
    (table,) = [one for one in report.tables if one.name == name]
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def states(report: Report) -> Counter[str]:
    return Counter(one["state"] for one in rows(report, "lines"))


def summary(report: Report) -> dict[str, int]:
    return {one["what"]: one["count"] for one in rows(report, "summary")}


def counted(world: World) -> dict[str, int]:
    with world.store.read() as tx:
        return {
            name: tx.scalar(select(func.count()).select_from(one)) or 0
            for name, one in metadata.tables.items()
        }


def a_busy_week(world: World) -> None:
    """Sessions that are sent, amended, taken back, held, withheld, refused, late; an EHR more."""
    first = a_short_visit(1, vitals=[a_pulse("v-1", 70), a_pulse("v-2", 71, hour=10)])
    world.take(first)
    world.take(amended(first, rate(75)))
    taken = a_short_visit(2)
    world.take(taken)
    world.take(retracted(taken))
    world.take(a_short_visit(3, patient="pt-2", consents=WITHDRAWN))
    edited = world.take(a_short_visit(4, patient="pt-3"))
    (pulse,) = world.of_mapping(edited, "vital-heart-rate")
    world.ehr.edit(pulse, note=NOTE)
    world.take(amended(a_short_visit(4, patient="pt-3"), rate(99)))
    world.connect("late")
    wrong = {**a_short_visit(5), "version": "wrong"}
    with pytest.raises(InvalidRecordError):
        world.accept(wrong)
    world.sync()
    world.accept(a_short_visit(6, patient="pt-4"))  # not sent yet


def test_r55_every_line_has_a_fate_and_the_counts_add_up(world: World) -> None:
    a_busy_week(world)

    report = reported(world)

    said, found = summary(report), states(report)
    assert report.difference == 0
    assert said["record versions accepted, by the evidence"] == 8
    assert said["record versions stored"] == 8
    assert said["refused before they were stored"] == 1
    assert sum(found.values()) == len(rows(report, "lines"))
    assert said["lines: resources of these, for each destination"] == sum(found.values())
    assert {"sent", "retracted", "held", "withheld", "waiting", "replaced"} <= set(found)
    for one in rows(report, "by-destination"):
        assert one["lines"] == sum(v for k, v in one.items() if k not in ("destination", "lines"))


def test_r55_the_ehr_has_what_the_report_says_and_nothing_else(world: World) -> None:
    a_busy_week(world)

    lines = rows(reported(world), "lines")

    for name, ehr in world.ehrs.items():
        said = {
            one["resource"]: one["ehr_version"]
            for one in lines
            if one["destination"] == name and one["ehr_version"]
        }
        there = {one.reference: one.number for one in ehr.storage.living()}
        theirs = {ref for ref in there if ehr.read(ref).get("note") == NOTE}
        assert said.keys() == there.keys()
        assert {ref for ref in said if str(said[ref]) != str(there[ref])} == theirs


def test_r55_live_finds_what_somebody_changed_and_owes_nothing(world: World) -> None:
    a_busy_week(world)
    world.sync()
    (gone,) = world.ehr.all_of("Patient")[-1:]
    world.ehr.delete(f"Patient/{gone['id']}")
    before = counted(world)

    report = reported(world, live=True)

    grown = {name for name, count in counted(world).items() if count != before[name]}
    assert grown == {"evidence", "evidence_waiting"}
    assert {(one["destination"], one["shown"]) for one in rows(report, "differs")} == {
        ("ehr", "edited"),
        ("ehr", "deleted"),
    }
    assert report.difference == len(rows(report, "differs")) == 2
    there = [one for ehr in world.ehrs.values() for one in ehr.storage.living()]
    assert len(rows(report, "live")) == len(there) + 1


@pytest.mark.parametrize("table", [delivery_item, ledger])
def test_r55_what_is_lost_of_the_bookkeeping_is_a_difference(world: World, table: Any) -> None:
    world.take(a_short_visit(1))
    with world.store.begin() as tx:
        tx.execute(delete(table).where(table.c.type == "Observation"))

    report = reported(world)

    (lost,) = rows(report, "not-explained")
    assert lost["resource"].startswith("Observation/")
    assert report.difference == 1


def test_r55_a_record_without_evidence_is_a_difference(world: World) -> None:
    world.accept(a_short_visit(1))
    stranger = "0" * 32
    with world.store.begin() as tx:
        row = dict(tx.execute(select(record)).mappings().one())
        tx.execute(insert(record).values({**row, "id": stranger, "session_key": "another"}))

    report = reported(world, destination="ehr")

    assert [one["record"] for one in rows(report, "not-explained")] == [stranger, stranger]
    assert report.difference == 2  # no evidence of it, and nothing owed of it


def test_of_one_destination_and_of_days_without_records(world: World) -> None:
    a_busy_week(world)

    one = reported(world, destination="late")
    world.clock.advance(timedelta(days=30))
    none = reported(world)

    assert {line["destination"] for line in rows(one, "lines")} == {"late"}
    assert (none.difference, rows(none, "lines")) == (0, [])


def test_where_there_is_no_ehr_each_record_is_one_line() -> None:
    world = World(mapped=few_mappings)
    world.accept(a_short_visit(1))

    report = reported(world)

    assert (report.difference, states(report)) == (0, {"not-owed": 1})


def test_every_report_is_in_the_evidence_and_without_evidence_there_is_none(world: World) -> None:
    world.take(a_short_visit(1))

    report = reported(world)

    (noted,) = world.evidence("report.made")
    detail = codec.decode(noted.detail.encode())
    assert (noted.actor, detail["report"], detail["rows"]) == ("test", "completeness", report.count)
    assert (detail["since"], detail["until"]) == ("2026-04-25", "2026-05-04")


def test_safety_03_the_report_of_completeness_holds_nothing_of_a_patient() -> None:
    world = World()
    world.connect()
    visit, tokens = record_with_canaries()
    world.take(visit)

    report = reported(world, live=True)

    for form in Format:
        assert hits(written(report, form, made_at=world.clock.now()), tokens) == []
    assert [hits(row.detail.encode(), tokens) for row in world.evidence("report.made")] == [[]]


def test_r55_what_a_restored_ehr_lost_for_good_is_said_to_be_lost(world: World) -> None:
    first = a_short_visit(1)
    world.take(first)
    world.take(amended(first, rate(75)))
    world.ehr.model.restore(())
    world.clock.advance(timedelta(hours=1))

    world.bridge.reconcile("ehr", full=True, repair=True, actor="test")
    world.settle(days=1)

    report = reported(world)
    assert summary(report)["difference: lines without an explanation"] == 0
    lost = [one for one in rows(report, "lines") if one["state"] == Fate.LOST]
    # The account of a delivery whose resources have newer versions is not sent again.
    assert {one["resource"].partition("/")[0] for one in lost} == {"Provenance"}
