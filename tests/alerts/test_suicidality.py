"""A positive screen that does not reach the EHR: a person is told within minutes."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from fhirbridge.destinations import registry
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.fhir import codec
from fhirbridge.records.rules import suicidality
from tests.factories import Record, World, a_short_visit, amended, rate
from tests.fakes import Fault, Says

MINUTES = timedelta(minutes=6)


def a_screen(instrument: str, *values: int, first: int = 1) -> dict[str, Any]:
    items = [
        {"id": f"i{number}", "number": number, "value": value}
        for number, value in enumerate(values, start=first)
    ]
    return {
        "id": "as-1",
        "instrument": {"key": instrument},
        "time": "2026-03-01T09:05:00-05:00",
        "mode": "self",
        "items": items,
    }


CSSRS = a_screen("c-ssrs-screener", 1, 0, 0, 0, 0, 0)
PHQ_9 = a_screen("phq-9", 2, 2, 2, 2, 2, 2, 2, 1, 1)


def a_positive_visit(patient: str = "pt-1", screen: dict[str, Any] = CSSRS) -> Record:
    return a_short_visit(patient=patient, assessments=[screen])


def told(world: World) -> list[str]:
    return [one["what"] for one in world.told if one["kind"] == "suicidality"]


@pytest.fixture
def world() -> World:
    made = World()
    made.connect()
    return made


def a_lane_that_waits(world: World) -> None:
    world.ehr.transport.choose = lambda _request: Says(status=503)


def a_refusal(world: World) -> None:
    world.ehr.transport.choose = lambda request: (
        Says(status=422) if b"93373-9" in (request.body or b"") else None
    )


def a_breaker(world: World) -> None:
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    for number in range(10, 21):
        world.accept(a_short_visit(patient=f"pt-{number}"))


def a_pause(world: World) -> None:
    with world.store.begin() as tx:
        registry.pause(tx, "ehr", "by hand")


def a_used_up_day(world: World) -> None:
    world.bridge.limit_destination("ehr", LimitChange(per_day=1), actor="test")
    world.ehr.transport.script = [Says(status=503)]


STOPPED_BY = [a_lane_that_waits, a_refusal, a_breaker, a_pause, a_used_up_day]


@pytest.mark.parametrize("stop", STOPPED_BY, ids=lambda stop: stop.__name__)
def test_safety_05_a_positive_screen_that_is_stuck_is_told_within_minutes(
    world: World, stop: Callable[[World], None]
) -> None:
    stop(world)
    world.accept(a_positive_visit())
    world.sync()

    world.clock.advance(MINUTES)
    world.bridge.check_alerts()

    assert told(world) == ["started"]
    (alert,) = [one for one in world.told if one["kind"] == "suicidality"]
    urgent = [row.id for row in world.rows() if row.urgent]
    assert [alert["cause"]] == urgent
    assert "by phone" in alert["words"]


@pytest.mark.parametrize("screen", [CSSRS, PHQ_9], ids=["c-ssrs", "phq-9 item 9"])
def test_safety_05_it_is_told_at_once_when_it_is_held_for_a_person(
    world: World, screen: dict[str, Any]
) -> None:
    world = World()
    world.connect(requires_consent=True)
    record = a_positive_visit(screen=screen)
    record["consents"] = []

    world.accept(record)
    world.sync()

    assert [row.state for row in world.patient_rows()] == ["held"]
    assert told(world) == ["started"]


def test_safety_05_it_is_over_when_the_ehr_has_it(world: World) -> None:
    a_lane_that_waits(world)
    world.accept(a_positive_visit())
    world.clock.advance(MINUTES)
    world.sync()
    world.ehr.transport.choose = lambda _request: None

    world.settle()

    assert told(world) == ["started", "ended"]


def test_safety_05_it_never_rides_in_the_low_lane(world: World) -> None:
    raw = codec.encode(a_positive_visit())
    world.bridge.accept(raw, actor="test", backfill=True)
    world.bridge.accept(codec.encode(a_short_visit(patient="pt-2")), actor="test", backfill=True)

    assert {(row.urgent, row.low) for row in world.patient_rows()} == {(True, False), (False, True)}
    world.connect("new")  # owed all that is known, as a backfill
    rows = [row for row in world.patient_rows() if row.destination == "new"]
    assert {(row.urgent, row.low) for row in rows} == {(True, False), (False, True)}


def test_safety_05_a_held_answer_of_a_screen_is_told_since_nothing_of_it_goes(world: World) -> None:
    wrong = a_screen("phq-9", 2, 2, 2, 2, 2, 2, 2, 1, 7)
    receipt = world.accept(a_short_visit(assessments=[wrong]))
    world.sync()

    assert told(world) == ["started"]
    assert [one["cause"] for one in world.told if one["kind"] == "suicidality"] == [receipt.id]
    world.take(amended(a_short_visit(assessments=[PHQ_9])))
    assert told(world) == ["started", "ended"]


def test_a_held_answer_that_hides_no_positive_one_alarms_nobody(world: World) -> None:
    wrong = a_screen("phq-9", 7, 2, 2, 2, 2, 2, 2, 1, 0)
    world.take(a_short_visit(assessments=[wrong]))

    assert told(world) == []


def test_what_does_not_carry_the_screen_is_not_urgent(world: World) -> None:
    record = a_positive_visit()
    world.take(record)
    world.accept(amended(record, rate(90)))

    assert [row.urgent for row in world.patient_rows()] == [True, False]


IDEATION = {"id": "c-1", "code": {"key": "suicidal-ideation"}}
EVENT = {"id": "ae-1", "event": {"key": "suicidal-thoughts"}}


@pytest.mark.parametrize(
    ("parts", "rows"),
    [
        ({"assessments": [CSSRS]}, {"assessments/as-1"}),
        ({"assessments": [PHQ_9]}, {"assessments/as-1"}),
        ({"assessments": [a_screen("c-ssrs-screener", 0, 0, 0, 0, 0, 0)]}, set()),
        ({"assessments": [a_screen("phq-9", 3, 3, 3, 3, 3, 3, 3, 3, 0)]}, set()),
        ({"assessments": [a_screen("gad-7", 3, 3)]}, set()),
        ({"adverse_events": [EVENT]}, {"adverse_events/ae-1"}),
        ({"conditions": [IDEATION]}, {"conditions/c-1"}),
        ({"conditions": [{**IDEATION, "role": "history"}]}, set()),
        ({}, set()),
    ],
)
def test_which_rows_must_not_get_stuck_unseen(parts: dict[str, Any], rows: set[str]) -> None:
    assert suicidality.rows(parts) == rows
