"""R29: one alert when something begins to be wrong, and one when it is over."""

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from fhirbridge.alerts.book import WORDS, Alerts
from fhirbridge.alerts.command import AlertCommand, NotToldError
from fhirbridge.alerts.conditions import Kind
from fhirbridge.destinations import registry
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.fhir import codec
from fhirbridge.store.tables import alert, delivery
from tests.deliver.refusing import heal, of_type, refuse
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import Fault, Says
from tests.journey.canaries import hits, record_with_canaries
from tests.mapping_sets import few_mappings

MINUTE = timedelta(minutes=1)


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def told(world: World) -> list[tuple[str, str, str]]:
    return [(one["kind"], one["what"], one["cause"]) for one in world.told]


def break_down(world: World, *, patients: int = 12) -> None:
    world.take(a_short_visit(patient="pt-0"))
    for number in range(1, patients + 1):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.sync()


def test_a_destination_that_is_down_for_hours_is_told_once_and_once_when_it_is_well(
    world: World,
) -> None:
    break_down(world)
    for _ in range(30):
        world.clock.advance(MINUTE)
        world.sync()
    assert told(world) == [("down", "started", "")]
    assert [one["kind"] for one in world.bridge.status().alerts] == ["down"]

    world.ehr.transport.choose = lambda _request: None
    world.settle()

    assert told(world) == [("down", "started", ""), ("down", "ended", "")]
    assert world.bridge.status().alerts == []


def test_r29_ten_thousand_failures_of_one_cause_are_two_alerts(world: World) -> None:
    world.accept(a_short_visit())
    refuse(world)
    world.sync()
    (parked,) = world.rows("parked")
    with world.store.begin() as tx:
        rows = [
            {
                **parked._asdict(),
                "id": f"{number:032x}",
                "sequence": 100 + number,
                "reason": f"{parked.reason} number {number}",
            }
            for number in range(9_999)
        ]
        tx.execute(insert(delivery), rows)
    world.told.clear()
    for _ in range(5):
        world.bridge.check_alerts()
    with world.store.begin() as tx:
        tx.execute(delivery.delete().where(delivery.c.sequence >= 100))
    heal(world)
    world.retry()
    world.sync()

    assert told(world) == [("parked", "ended", "refused")]
    with world.store.read() as tx:
        assert len(tx.execute(select(alert)).all()) == 1


def test_what_comes_again_is_told_again(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    for pulse in (80, 90):
        record = amended(record, rate(pulse))
        refuse(world, of_type("Observation"))
        world.take(record)
        heal(world)
        world.retry()
        world.sync()

    assert told(world) == 2 * [("parked", "started", "refused"), ("parked", "ended", "refused")]


@pytest.mark.parametrize(
    ("status", "kinds"), [(401, {"auth"}), (422, {"parked"})], ids=["sign-in", "refused"]
)
def test_each_cause_has_its_kind(world: World, status: int, kinds: set[str]) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.choose = lambda _request: Says(status=status)

    world.sync()

    assert {kind for kind, _, _ in told(world)} == kinds


def test_a_day_that_is_used_up_is_told(world: World) -> None:
    world.bridge.limit_destination("ehr", LimitChange(per_day=1), actor="test")
    for number in range(3):
        world.accept(a_short_visit(patient=f"pt-{number}"))

    world.sync()

    assert told(world) == [("quota", "started", "")]


def test_a_pause_is_told(world: World) -> None:
    with world.store.begin() as tx:
        registry.pause(tx, "ehr", "by hand: the EHR is updated")
    world.sync()
    world.resume()
    world.sync()

    assert told(world) == [("paused", "started", ""), ("paused", "ended", "")]


def test_a_backlog_is_told_after_an_hour_and_a_backfill_is_none(world: World) -> None:
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.bridge.accept(codec.encode(a_short_visit(patient="pt-1")), actor="test", backfill=True)
    world.clock.advance(timedelta(hours=3))
    world.bridge.check_alerts()
    assert told(world) == []

    world.accept(a_short_visit(patient="pt-2"))
    world.clock.advance(timedelta(minutes=59))
    world.bridge.check_alerts()
    assert told(world) == []
    world.clock.advance(2 * MINUTE)
    world.bridge.check_alerts()
    assert told(world) == [("backlog", "started", "")]


def test_what_is_held_is_told_with_its_cause(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    (pulse,) = world.ehr.all_of("Observation")
    world.ehr.edit(f"Observation/{pulse['id']}", status="amended")
    world.take(amended(record, rate(90)))

    assert told(world) == [("held", "started", "edited")]


def test_two_processes_that_look_at_the_same_time_tell_once(world: World) -> None:
    heard: list[bytes] = []

    def look_too(message: bytes) -> None:
        heard.append(message)
        other = Alerts(store=world.store, clock=world.clock, rng=world.rng, tell=heard.append)
        other.check()

    object.__setattr__(world.bridge._parts, "tell", look_too)
    break_down(world)

    assert [codec.decode(message)["kind"] for message in heard] == ["down"]


def test_a_way_out_that_fails_is_tried_again_until_it_works(world: World) -> None:
    break_down(world)
    world.told.clear()
    world.ehr.transport.choose = lambda _request: None
    calls: list[bytes] = []

    def fails_once(message: bytes) -> None:
        calls.append(message)
        if len(calls) == 1:
            raise NotToldError("no")

    object.__setattr__(world.bridge._parts, "tell", fails_once)
    world.settle()
    for _ in range(3):
        world.clock.advance(3 * MINUTE)
        world.bridge.check_alerts()

    assert [codec.decode(one)["what"] for one in calls] == ["ended", "ended"]


def test_a_condition_that_was_over_before_it_could_be_told_is_told_whole(world: World) -> None:
    def fails(_message: bytes) -> None:
        raise NotToldError("no")

    parts = world.bridge._parts
    works = parts.tell
    object.__setattr__(parts, "tell", fails)
    break_down(world)
    world.ehr.transport.choose = lambda _request: None
    world.settle()
    object.__setattr__(parts, "tell", works)
    for _ in range(3):
        world.clock.advance(3 * MINUTE)
        world.bridge.check_alerts()

    assert told(world) == [("down", "started", ""), ("down", "ended", "")]


def test_the_command_gets_the_alert_on_its_input_and_no_shell_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "got; touch x"
    code = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"

    AlertCommand(words=[sys.executable, "-c", code, str(file)], environment={})(b'{"a": 1}')

    assert file.read_bytes() == b'{"a": 1}'
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "words", [["/no/such/program"], [sys.executable, "-c", "raise SystemExit(3)"]]
)
def test_a_command_that_does_not_work_is_an_error_that_names_the_setting(words: list[str]) -> None:
    with pytest.raises(NotToldError, match="FHIRBRIDGE_ALERT_COMMAND"):
        AlertCommand(words=words, environment={})(b"{}")


def test_r40_nothing_of_a_patient_is_in_an_alert() -> None:
    world = World()
    world.connect()
    given, tokens = record_with_canaries()
    body: Any = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "invalid", "diagnostics": tokens[0]}],
    }
    world.ehr.transport.choose = lambda _request: Says(status=422, body=codec.encode(body))

    world.take(given)

    assert world.told
    assert hits(repr([world.told, world.bridge.status().alerts]).encode(), tokens) == []


def test_every_kind_has_its_words() -> None:
    assert set(WORDS) == set(Kind)
