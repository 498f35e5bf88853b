"""R45, R49: who is told nothing any more, by itself or by a person; what waits, and replays."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fhirbridge.alerts.conditions import Kind as Alarm
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.errors import BridgeError
from fhirbridge.webhooks import sender
from tests.webhooks.receiving import Receiver, Telling

DAY = timedelta(days=1)


def alarms(telling: Telling) -> list[str]:
    telling.bridge.check_alerts()
    return [one["what"] for one in telling.told if one["kind"] == Alarm.WEBHOOK]


def test_r45_410_disables_at_once_a_person_is_told_and_the_rest_waits(
    telling: Telling, receiver: Receiver
) -> None:
    receiver.orders = [410]
    telling.happens()
    telling.happens()

    assert telling.post() == 1
    assert telling.post() == 0
    telling.happens()
    telling.clock.advance(DAY)
    assert telling.post() == 0

    assert telling.standing()["disabled"] == "gone: it answered 410"
    assert alarms(telling) == ["started"]
    assert telling.evidence("webhook.endpoint-disabled")
    telling.bridge.webhooks.enable("clinic", actor="test")
    assert telling.post() == 3
    assert len(set(receiver.ids)) == 3
    assert alarms(telling) == ["started", "ended"]


def test_r49_after_five_days_of_failures_it_is_disabled_and_others_go_on(
    telling: Telling, receiver: Receiver
) -> None:
    other = Receiver()
    telling.add("other", other.url)
    receiver.always = 500
    for _ in range(6):
        telling.happens()
        telling.post()
        telling.clock.advance(DAY - timedelta(minutes=1))
    telling.post()

    assert telling.standing()["disabled"].startswith("failing")
    assert telling.standing("other")["disabled"] == ""
    assert alarms(telling) == ["started"]
    assert len(other.seen) == 6
    other.server.close()


def test_r49_what_is_replayed_goes_to_that_endpoint_only_and_once(
    telling: Telling, receiver: Receiver
) -> None:
    other = Receiver()
    telling.add("other", other.url)
    ids = []
    for _ in range(4):
        ids.append(telling.happens())
        telling.clock.advance(timedelta(minutes=1))
    telling.post()
    since = telling.clock.now() - timedelta(minutes=3)

    count = telling.bridge.webhooks.replay_range(
        "clinic", since, since + timedelta(minutes=2), actor="test"
    )
    one = telling.bridge.webhooks.replay_event("clinic", ids[0], actor="test")
    telling.post()

    assert (count, one) == (2, 1)
    assert receiver.ids == [*ids, *ids[:3]]
    assert other.ids == ids
    assert telling.post() == 0
    other.server.close()


def test_r49_what_waits_while_it_is_disabled_is_kept_for_thirty_days(
    telling: Telling, receiver: Receiver
) -> None:
    telling.bridge.webhooks.disable("clinic", actor="test")
    telling.happens()
    telling.clock.advance(20 * DAY)
    young = telling.happens()
    telling.clock.advance(11 * DAY)

    telling.bridge.webhooks.enable("clinic", actor="test")
    telling.post()

    assert receiver.ids == [young]


def test_what_is_older_than_thirty_days_is_erased(telling: Telling) -> None:
    telling.happens()
    telling.post()
    telling.clock.advance(31 * DAY)

    sender.erase(telling.hooks)

    assert telling.tries() == []
    assert sum(telling.standing()["messages"].values()) == 0


def test_what_came_of_a_try_is_noted_also_where_a_person_disabled_it_meanwhile(
    telling: Telling,
) -> None:
    telling.happens()
    sender.prepare(telling.hooks)
    (endpoint,) = sender.ready(telling.hooks)

    class Meanwhile:
        def send(self, _request: Request, *, deadline_seconds: float) -> Response:
            assert deadline_seconds
            telling.bridge.webhooks.disable("clinic", actor="test")
            return Response(status=410, headers={}, body=b"")

    rooms = replace(telling.hooks, connect=lambda _networks: Meanwhile())
    sender.send_due(rooms, endpoint, lambda: True)

    assert [one["outcome"] for one in telling.tries()] == ["gone"]
    assert telling.standing()["disabled"] == "disabled by an operator"


def test_what_was_removed_is_told_nothing_and_its_answers_cannot_be_read(
    telling: Telling, receiver: Receiver
) -> None:
    telling.happens()
    telling.post()
    telling.bridge.webhooks.remove("clinic", actor="test")
    telling.happens()

    assert telling.post() == 0
    assert telling.bridge.webhooks.every() == []
    with pytest.raises(BridgeError):
        telling.bridge.webhooks.attempts("clinic")
    telling.add("clinic", receiver.url)  # the name is free, and what was before is not told
    assert telling.post() == 0


def test_a_database_that_was_put_back_tells_nobody_until_a_person_says_so(
    telling: Telling, receiver: Receiver
) -> None:
    telling.happens()

    telling.bridge.note_restore(made_at="2026-05-01", actor="test")

    assert telling.post() == 0
    assert alarms(telling) == []
    telling.bridge.webhooks.enable("clinic", actor="test")
    assert telling.post() == 1
    assert len(receiver.seen) == 1
