"""Our Subscriptions at an EHR: exactly one for each type, renewed, made again, removed."""

from datetime import timedelta

import pytest

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.subscriptions.wanted import AGAIN_AFTER, HOOK, KIND, LIFETIME, RENEWED_BEFORE
from tests.factories import A_DAY, World, a_short_visit
from tests.fakes import Fault, Says, Trouble
from tests.subscriptions.telling import (
    ADDRESS,
    activate,
    ask,
    check,
    only,
    secrets_of,
    state,
    subscribed,
    there,
    told,
    written,
)

ELSEWHERE = {
    "resourceType": KIND,
    "status": "active",
    "reason": "synthetic: of another system",
    "criteria": "Observation?",
    "channel": {"type": "rest-hook", "endpoint": "https://other.invalid/hook"},
}


def test_there_is_one_for_each_type_that_asks_for_no_payload(world: World) -> None:
    world.take(a_short_visit())

    shown = ask(world)

    found = there(world)
    assert set(found) == {kind for kind, _ in world.ledger()} == set(shown["types"])
    for kind, one in found.items():
        channel = one["channel"]
        assert (one["status"], channel["type"]) == ("requested", "rest-hook")
        assert channel["endpoint"].startswith(f"{ADDRESS}{HOOK}")
        assert "payload" not in channel, kind
        assert one["end"] == (world.clock.now() + LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert len({secrets_of(one) for one in found.values()}) == 1
    assert shown["state"] == "requested"


def test_asked_again_there_is_still_one_with_new_secrets_and_the_old_ones_are_refused(
    world: World,
) -> None:
    world.take(a_short_visit())
    ask(world)
    before = there(world)
    world.ehr.model.handle(
        "POST", f"/{KIND}", {"Content-Type": codec.FHIR_JSON}, codec.encode(ELSEWHERE)
    )

    ask(world)

    after = there(world)
    assert {k: one["id"] for k, one in after.items()} == {k: o["id"] for k, o in before.items()}
    old, new = (secrets_of(one["Patient"]) for one in (before, after))
    assert world.bridge.subscriptions.caller(*old) == ""
    assert world.bridge.subscriptions.caller(old[0], new[1]) == ""
    assert world.bridge.subscriptions.caller(*new) == "ehr"
    assert ELSEWHERE["criteria"] in [
        one["criteria"] for one in world.ehr.all_of(KIND) if one["reason"] == ELSEWHERE["reason"]
    ]


def test_neither_token_nor_secret_is_in_the_database_in_the_clear(world: World) -> None:
    subscribed(world)

    token, secret = secrets_of(there(world)["Patient"])
    with world.store.read() as tx:
        dumped = str(tx.exec_driver_sql("SELECT * FROM subscription").one())
        noted = str(tx.exec_driver_sql("SELECT detail FROM evidence").all())
    for one in (token, secret):
        assert len(one) == 43
        assert one not in dumped
        assert one not in noted


def test_a_type_that_is_written_later_is_told_of_from_the_next_look_on(world: World) -> None:
    assert ask(world)["said"].startswith("nothing of ours")
    assert there(world) == {}

    world.take(a_short_visit())
    world.bridge.watch(seconds=60).round()

    assert set(there(world)) == {kind for kind, _ in world.ledger()}


def test_types_may_be_chosen_and_what_is_not_chosen_any_more_is_removed(world: World) -> None:
    subscribed(world)

    ask(world, "ehr", "Observation")

    assert set(there(world)) == {"Observation"}


def test_a_check_of_what_stands_writes_nothing(world: World) -> None:
    subscribed(world)
    world.ehr.transport.sent.clear()

    for _ in range(5):
        world.clock.advance(timedelta(minutes=1))
        check(world)

    assert written(world) == []


def test_they_are_renewed_before_they_end(world: World) -> None:
    subscribed(world)
    ends = state(world)["ends_at"]
    world.clock.advance(LIFETIME - RENEWED_BEFORE)

    check(world)
    activate(world)
    check(world)

    assert state(world)["state"] == "active"
    assert state(world)["ends_at"] > ends
    assert all(one["end"] > ends for one in there(world).values())


@pytest.mark.parametrize("status", ["error", "off"])
def test_one_that_failed_there_is_made_again_and_told_once(world: World, status: str) -> None:
    subscribed(world)
    world.clock.advance(A_DAY)
    one = there(world)["Observation"]
    world.ehr.edit(f"{KIND}/{one['id']}", status=status)

    for _ in range(3):
        check(world)
        assert told(world) == [("subscription", "started")]
        world.clock.advance(timedelta(minutes=11))
    assert there(world)["Observation"]["status"] == "requested"
    activate(world)
    check(world)

    assert told(world) == [("subscription", "started"), ("subscription", "ended")]
    assert state(world)["said"] == ""


def test_one_that_somebody_turns_off_again_and_again_is_asked_for_once_an_hour(
    world: World,
) -> None:
    subscribed(world)
    world.clock.advance(A_DAY)
    own = f"{KIND}/{there(world)['Observation']['id']}"
    world.ehr.transport.sent.clear()

    for _ in range(12 * 3):
        world.ehr.edit(own, status="off")
        check(world)
        world.clock.advance(AGAIN_AFTER / 12)

    assert 2 <= len(written(world)) <= 4


def test_one_that_is_never_begun_is_told(world: World) -> None:
    world.take(a_short_visit())
    ask(world)
    world.clock.advance(timedelta(minutes=11))

    check(world)

    assert state(world)["state"] == "error"
    assert "not active at the EHR: " in state(world)["said"]


def test_one_that_vanished_is_made_again(world: World) -> None:
    subscribed(world)
    world.clock.advance(A_DAY)
    world.ehr.delete(f"{KIND}/{there(world)['Patient']['id']}")

    check(world)

    assert there(world)["Patient"]["status"] == "requested"


def test_a_second_one_of_ours_is_removed(world: World) -> None:
    subscribed(world)
    copy = {name: part for name, part in there(world)["Patient"].items() if name != "id"}
    world.ehr.model.handle(
        "POST", f"/{KIND}", {"Content-Type": codec.FHIR_JSON}, codec.encode(copy)
    )

    check(world)

    assert set(there(world)) == {kind for kind, _ in world.ledger()}


def test_an_answer_that_was_lost_makes_no_second_one(world: World) -> None:
    world.take(a_short_visit())
    lost = [Fault.LOST]
    world.ehr.transport.choose = lambda request: (
        lost.pop() if lost and only("POST", Fault.LOST)(request) else None
    )

    assert "no answer" in ask(world)["said"]
    check(world)

    assert set(there(world)) == {kind for kind, _ in world.ledger()}


def test_where_the_ehr_forgets_our_mark_none_is_made_twice(world: World) -> None:
    subscribed(world)
    for one in there(world).values():
        world.ehr.edit(f"{KIND}/{one['id']}", meta={})
    world.clock.advance(A_DAY)

    check(world)

    assert set(there(world)) == {kind for kind, _ in world.ledger()}


def test_one_that_was_made_to_call_another_is_not_ours_to_change_or_remove(world: World) -> None:
    subscribed(world)
    own = f"{KIND}/{there(world)['Patient']['id']}"
    channel = {"type": "rest-hook", "endpoint": "https://other.invalid/hook"}
    world.ehr.edit(own, channel=channel)
    world.clock.advance(A_DAY)

    for _ in range(3):
        check(world)
        world.clock.advance(A_DAY)
    shown = state(world)
    world.bridge.subscriptions.end("ehr", actor="test")

    assert shown["state"] == "error"
    assert world.ehr.read(own)["channel"] == channel


def test_an_id_that_cannot_stand_in_an_address_is_never_asked_for(world: World) -> None:
    subscribed(world)
    entry = {**there(world)["Patient"], "id": "../Patient/p"}
    found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": entry}]}
    answer = Says(status=200, body=codec.encode(found))
    world.ehr.transport.choose = lambda request: (
        answer if request.url.endswith("/_search") else None
    )

    world.bridge.subscriptions.end("ehr", actor="test")

    assert [url for _, url in written(world) if ".." in url] == []


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Says(status=403), "the EHR answered 403"),
        (Says(status=501), "the EHR answered 501"),
        (Says(status=201), "did not name it"),
    ],
)
def test_an_ehr_that_refuses_is_told_and_is_looked_at_all_the_same(
    world: World, trouble: Trouble, words: str
) -> None:
    world.take(a_short_visit())
    world.ehr.transport.choose = only("POST", trouble)

    shown = ask(world)
    for _ in range(5):
        check(world)
        world.clock.advance(timedelta(minutes=1))

    assert shown["state"] == "error"
    assert words in shown["said"]
    assert told(world) == [("subscription", "started")]
    assert len(written(world)) == 1  # it is not asked every minute


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (Fault.NOT_SENT, "gave no answer"),
        (Says(status=503), "the EHR answered 503"),
        (Says(status=429), "the EHR answered 429"),
    ],
)
def test_an_ehr_that_is_away_for_a_moment_is_no_alert_and_is_asked_again(
    world: World, trouble: Trouble, words: str
) -> None:
    world.take(a_short_visit())
    world.ehr.transport.choose = only("POST", trouble)
    shown = ask(world)
    world.ehr.transport.choose = lambda _request: None
    no_alert = told(world)

    check(world)

    assert (shown["state"], words in shown["said"], no_alert) == ("requested", True, [])
    assert set(there(world)) == {kind for kind, _ in world.ledger()}


def test_what_is_asked_for_anew_during_a_check_is_not_taken_for_done(world: World) -> None:
    subscribed(world)
    world.clock.advance(LIFETIME)
    again = [1]

    def asked_meanwhile(request: Request) -> None:
        if request.method == "PUT" and again:
            again.clear()
            with world.store.begin() as tx:
                world.bridge.subscriptions.change_secrets(tx)

    world.ehr.transport.before_serving = asked_meanwhile
    check(world)
    check(world)

    token, secret = secrets_of(there(world)["Patient"])
    assert world.bridge.subscriptions.caller(token, secret) == "ehr"
