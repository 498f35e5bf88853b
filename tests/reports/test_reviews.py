"""Adverse events, mappings by day, access: each says what is there and who looked is noted."""

from datetime import date, timedelta
from typing import Any

from fhirbridge.access.tokens import Role
from fhirbridge.reports import adverse_events
from fhirbridge.reports.catalog import CATALOG, Asked
from fhirbridge.reports.documents import Kept
from fhirbridge.reports.table import Period, Report
from fhirbridge.reports.written import Format, written
from fhirbridge.webhooks.endpoints import New
from tests.factories import World, a_short_visit
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings, mappings
from tests.records.visits import NASAL, a_visit
from tests.reports.stocks import rows

MAY = Period(since=date(2026, 5, 1), until=date(2026, 5, 31))
MARCH = Period(since=date(2026, 3, 1), until=date(2026, 3, 31))


def made(world: World, name: str, period: Period = MAY) -> Report:
    return world.bridge.report(name, Asked(period=period), actor="test")


def an_event(own: str, **parts: Any) -> dict[str, Any]:
    return {"id": own, "event": {"key": "nausea"}, **parts}


def test_adverse_events_are_listed_with_what_was_written_and_nothing_made_up() -> None:
    events = [
        an_event("ae-1"),
        an_event(
            "ae-2",
            onset="2026-03-10T14:20:00-04:00",
            seriousness="serious",
            severity={"key": "severe"},
            suspected=["a-1"],
            actions=[{"id": "ac", "kind": "stopped", "time": "2026-03-10T14:21:00-04:00"}],
            outcome="resolved",
        ),
        an_event("ae-3", onset="2026-04-01T00:30:00-04:00"),
    ]
    sessions = [
        Kept(id="r-1", version=2, document=a_visit(NASAL, adverse_events=events)),
        Kept(id="r-2", version=1, document=a_visit(NASAL, adverse_events=events), left_out="gone"),
    ]

    report = adverse_events.report(sessions, MARCH)

    plain, full = rows(report, "events")
    assert (plain["row"], plain["day"], plain["seriousness"]) == (
        "adverse_events/ae-1", "2026-03-10", None,
    )  # fmt: skip
    assert (full["severity"], full["seriousness"], full["suspected"], full["outcome"]) == (
        "severe", "serious", "esketamine (a-1)", "resolved",
    )  # fmt: skip
    assert full["actions"] == "stopped at 2026-03-10T14:21:00-04:00"
    assert rows(report, "not-counted") == [{"record": "r-2", "why": "gone"}]


def test_which_mapping_set_was_live_on_a_day() -> None:
    world = World(mapped=few_mappings)
    world.accept(a_short_visit(1))
    world.clock.advance(timedelta(days=3))
    world.use_mappings(mappings)
    third = Period(since=date(2026, 5, 6), until=date(2026, 5, 6))
    change = Period(since=date(2026, 5, 7), until=date(2026, 5, 7))
    before = Period(since=date(2026, 5, 1), until=date(2026, 5, 3))

    few, whole = few_mappings().digest, mappings().digest

    def live(period: Period) -> list[tuple[str, int]]:
        found = rows(made(world, "mappings", period), "live")
        return [(row["digest"], row["records"]) for row in found]

    assert live(third) == [(few, 0)]
    assert live(change) == [(few, 0), (whole, 0)]
    assert live(MAY) == [(few, 1), (whole, 0)]
    assert live(before) == []


def test_who_may_come_in_who_did_and_what_changed() -> None:
    world = World(mapped=few_mappings)
    bridge = world.bridge
    bridge.make_token(name="lab", role=Role.INTEGRATOR, actor="admin")
    bridge.make_token(name="old", role=Role.AUDITOR, actor="admin")
    bridge.revoke_token("old", actor="admin")
    bridge.add_source("monitor", None, actor="admin")
    url = "https://registry.example.org/told"
    bridge.webhooks.add(New(name="registry", url=url), actor="admin")
    world.connect()
    bridge.record("nobody", actor="token:lab")
    bridge.refused(actor="nobody", reason="no token", route="/x")
    bridge.checkpoint()

    report = made(world, "access")

    lab, old = rows(report, "tokens")
    assert (lab["name"], lab["role"], lab["standing"], lab["last_seen"]) == (
        "lab", "integrator", "good", "2026-05-04T09:00:00.000000Z",
    )  # fmt: skip
    assert (old["standing"], old["last_seen"]) == ("revoked", None)
    assert [row["name"] for row in rows(report, "sources")] == ["monitor"]
    assert [(row["name"], row["address"]) for row in rows(report, "endpoints")] == [
        ("registry", url)
    ]
    assert [row["name"] for row in rows(report, "destinations")] == ["ehr"]
    assert sorted(row["what"] for row in rows(report, "changes")) == [
        "token.made", "token.made", "token.revoked", "webhook.endpoint-added",
        "webhook.source-added",
    ]  # fmt: skip
    assert [row["times"] for row in rows(report, "refused")] == [1]
    assert len(rows(report, "evidence-keys")) == 1
    world.clock.advance(timedelta(days=400))
    assert [row["standing"] for row in rows(made(world, "access"), "tokens")] == [
        "expired", "revoked",
    ]  # fmt: skip


def test_every_report_is_noted_with_its_name_and_no_clinic_or_patient_in_the_clear() -> None:
    world = World(mapped=few_mappings)
    visit, tokens = record_with_canaries()
    world.accept(visit)
    patient = world.bridge.patient_named(visit["patient"]["id"])

    for name, entry in CATALOG.items():
        asked = Asked(
            period=MARCH,
            clinic=visit["clinic"]["id"] if entry.by_clinic else "",
            patient=patient if entry.of_one else "",
        )
        report = world.bridge.report(name, asked, actor="test")
        assert report.name == name

    noted = world.evidence("report.made")
    assert len(noted) == len(CATALOG)
    assert [hits(row.detail.encode(), tokens) for row in noted] == [[]] * len(CATALOG)


def test_safety_03_a_report_that_is_not_of_patients_names_none() -> None:
    world = World(mapped=few_mappings)
    visit, tokens = record_with_canaries()
    world.accept(visit)
    own = [one for one in tokens if one in str(visit["patient"])]

    for name, entry in CATALOG.items():
        if not entry.of_patients:
            report = made(world, name, Period(since=date(2026, 1, 1), until=date(2026, 12, 31)))
            for form in Format:
                assert hits(written(report, form, made_at=world.clock.now()), own) == []
    assert len(own) > 5


def test_a_report_of_one_clinic_has_nothing_of_another() -> None:
    world = World(mapped=few_mappings)
    world.accept(a_visit(NASAL))

    def treated(clinic: str) -> int:
        report = world.bridge.report("rems", Asked(period=MARCH, clinic=clinic), actor="test")
        return len(rows(report, "treatments"))

    assert [treated(one) for one in ("", "clinic-east", "clinic-west")] == [1, 1, 0]
