"""A notification makes the next look come sooner, and nothing depends on it."""

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.factories import World
from tests.mapping_sets import few_mappings
from tests.subscriptions.telling import (
    ask,
    hear_for,
    looks,
    looks_at_own_deliveries,
    of_r4,
    of_r4b,
    state,
    tell,
    told_and_watched,
)

NOTE = [{"text": "Synthetic note: confirmed by phone"}]
EVENT = "event-notification"


def test_an_edit_is_found_a_moment_after_the_ehr_told_of_it(world: World) -> None:
    pulse, watching = told_and_watched(world)
    world.ehr.edit(pulse, note=NOTE)
    watching.hear()
    assert world.bridge.drift() == []

    tell(world)
    hear_for(world, watching, 1)

    assert [(one["kind"], one["type"]) for one in world.bridge.drift()] == [
        ("edited", "Observation")
    ]
    assert state(world)["notified_at"] != ""


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b'{"resourceType":"Observation","id":"made-up","status":"final"}',
        of_r4(EVENT, since=1, events=(1,), focus="Observation/made-up"),
    ],
)
def test_i21_what_a_notification_says_is_never_believed(world: World, raw: bytes) -> None:
    _, watching = told_and_watched(world)

    tell(world, raw)
    hear_for(world, watching, 1)

    assert looks(world) == 1
    assert world.bridge.drift() == []
    with world.store.read() as tx:
        kept = tx.exec_driver_sql("SELECT * FROM subscription").one()
    assert "made-up" not in str(kept)


def test_i21_a_storm_of_a_thousand_is_a_few_looks_and_the_last_edit_is_seen(world: World) -> None:
    pulse, watching = told_and_watched(world)

    for number in range(1000):
        tell(world, of_r4(EVENT, since=number + 1, events=(number + 1,)) if number % 2 else b"")
        if number % 10 == 9:
            hear_for(world, watching, 1)
    world.ehr.edit(pulse, note=NOTE)
    tell(world)
    in_the_storm = looks(world)
    hear_for(world, watching, 60)

    assert 3 <= in_the_storm <= 6
    assert looks(world) == in_the_storm + 1
    assert len(world.bridge.drift()) == 1


def test_i21_without_a_notification_nothing_is_looked_at(world: World) -> None:
    _, watching = told_and_watched(world)

    hear_for(world, watching, 30)

    assert world.ehr.transport.sent == []


@pytest.mark.parametrize("written", [of_r4, of_r4b])
def test_r51_after_a_missed_event_the_look_comes_within_five_seconds(
    world: World, written: object
) -> None:
    pulse, watching = told_and_watched(world)
    assert callable(written)
    for number in range(1, 60):  # so many that the looks lie far apart by now
        tell(world, written(EVENT, since=number, events=(number,)))
        hear_for(world, watching, 1)
    world.ehr.edit(pulse, note=NOTE)  # and the EHR's word of it is lost
    before = looks(world)

    tell(world, written("heartbeat", since=60))
    hear_for(world, watching, 5)

    assert looks(world) == before + 1
    assert len(world.bridge.drift()) == 1
    assert (state(world)["gaps"], state(world)["heartbeat_at"] != "") == (1, True)


def test_r51_a_handshake_and_a_heartbeat_without_a_gap_lead_to_no_look(world: World) -> None:
    _, watching = told_and_watched(world)

    tell(world, of_r4("handshake", since=0))
    tell(world, of_r4(EVENT, since=1, events=(1,)))
    hear_for(world, watching, 1)
    tell(world, of_r4("heartbeat", since=1))
    hear_for(world, watching, 120)

    assert (looks(world), state(world)["gaps"]) == (1, 0)


def test_r51_events_out_of_order_are_one_gap_and_twice_is_none(world: World) -> None:
    told_and_watched(world)

    for number in (1, 3, 2, 3, 4):
        tell(world, of_r4(EVENT, since=number, events=(number,)))

    assert state(world)["gaps"] == 1


def test_r54_while_our_receiver_is_down_the_next_round_finds_everything(world: World) -> None:
    pulse, watching = told_and_watched(world)
    world.ehr.edit(pulse, note=NOTE)  # ten minutes in which every call of the EHR fails
    world.clock.advance(timedelta(minutes=10))

    watching.round()

    assert [one["kind"] for one in world.bridge.drift()] == ["edited"]


def test_i22_twenty_deliveries_of_ours_are_few_looks_and_no_write(world: World) -> None:
    _, watching = told_and_watched(world)

    assert looks_at_own_deliveries(world, watching, 20) <= 6


def test_a_round_answers_what_was_told_before_it(world: World) -> None:
    _, watching = told_and_watched(world)
    tell(world)

    watching.round()
    hear_for(world, watching, 30)

    assert looks(world) == 1


def test_what_is_told_during_a_look_leads_to_another(world: World) -> None:
    pulse, watching = told_and_watched(world)
    tell(world)

    def edited_meanwhile(request: object) -> None:
        if "_history" in str(request) and looks(world) == 1:
            world.ehr.transport.before_serving = lambda _request: None
            tell(world)

    world.ehr.transport.before_serving = edited_meanwhile
    hear_for(world, watching, 1)
    world.ehr.edit(pulse, note=NOTE)
    hear_for(world, watching, 5)

    assert (looks(world), len(world.bridge.drift())) == (2, 1)


def test_a_look_is_taken_by_one_process_only_on_each_database(either: str) -> None:
    world = World(url=either, mapped=few_mappings)
    world.connect()
    ask(world)
    assert world.bridge.subscriptions.due() == []
    tell(world)
    tell(world, of_r4(EVENT, since=3, events=(3,)))

    assert world.bridge.subscriptions.due() == ["ehr"]
    assert [world.bridge.subscriptions.take("ehr") for _ in range(2)] == [True, False]
    world.store.close()


def test_who_is_not_to_be_looked_at_is_not_for_a_notification_either(world: World) -> None:
    _, watching = told_and_watched(world)
    world.ehr.model.restore(())
    watching.round()
    assert world.paused() != ""
    world.ehr.transport.sent.clear()

    tell(world)
    hear_for(world, watching, 5)

    assert world.ehr.transport.sent == []


def test_serve_hears_between_two_rounds(tmp_path: Path) -> None:
    """The thread itself, by the machine's clock: the next round is a day away."""
    world = World(url=f"sqlite:///{tmp_path / 'w.db'}", mapped=few_mappings)
    world.connect()
    told_and_watched(world)
    looked = threading.Semaphore(0)
    world.ehr.transport.before_serving = lambda request: (
        looked.release() if "/Patient/_history" in request.url else None
    )
    watching = world.bridge.watch(seconds=86_400)
    watching.start()
    of_the_round = looked.acquire(timeout=20)

    tell(world)
    of_the_hint = looked.acquire(timeout=20)
    watching.stop(20)

    assert (of_the_round, of_the_hint) == (True, True)
    world.store.close()
