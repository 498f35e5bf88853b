"""R45 to R47, R49, O29: what is sent to real receivers, when, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from fhirbridge.egress.exchange import Request, Response
from fhirbridge.events.log import Kind
from fhirbridge.webhooks import owed, schedule, sender
from tests.egress.fake_server import (
    HTML_200,
    answer,
    answer_and_hang_up,
    commit_then_reset,
    http,
    redirect,
)
from tests.webhooks.receiving import Receiver, Telling, says, verified

DAY = timedelta(days=1)


def test_what_happens_is_told_once_to_whoever_checks_the_signature(
    telling: Telling, receiver: Receiver
) -> None:
    named = telling.happens()

    assert telling.post() == 1
    assert telling.post() == 0
    (seen,) = receiver.seen
    told = verified(seen, telling.secrets["clinic"])
    assert (seen.method, seen.target) == ("POST", "/hooks?of=clinic")
    assert seen.headers["content-type"] == "application/json"
    assert (seen.headers["webhook-id"], told["data"]["id"]) == (named, named)
    assert told["type"] == "delivery.held"
    assert telling.standing()["messages"]["delivered"] == 1


def test_what_happened_before_it_was_added_is_not_told(receiver: Receiver) -> None:
    telling = Telling()
    telling.happens()

    telling.add("clinic", receiver.url)

    assert telling.post() == 0


def test_r45_a_receiver_that_is_down_is_tried_at_the_listed_times(
    telling: Telling, receiver: Receiver
) -> None:
    receiver.always = 503
    telling.happens()
    began = telling.clock.now()
    at: list[timedelta] = []

    while telling.standing()["messages"]["waiting"] or not at:
        at += [telling.clock.now() - began] * telling.post()
        if telling.due():
            telling.pass_until_due()

    gaps = [later - sooner for sooner, later in pairwise(at)]
    assert len(at) == len(receiver.seen) == 10
    assert at[0] == timedelta()
    for gap, wait in zip(gaps, schedule.WAITS[1:], strict=True):
        assert 0.8 * wait <= gap <= 1.2 * wait + timedelta(seconds=1)
    assert telling.standing()["messages"]["given-up"] == 1


def test_r46_the_id_stays_the_time_and_the_signature_are_new_at_each_try(
    telling: Telling, receiver: Receiver
) -> None:
    receiver.orders = [500, commit_then_reset, 200]
    named = telling.happens()

    for _ in range(3):
        telling.post()
        if telling.due():
            telling.pass_until_due()

    heads = [one.headers for one in receiver.seen]
    assert {one["webhook-id"] for one in heads} == {named}
    assert len({one.body for one in receiver.seen}) == 1
    assert len({one["webhook-timestamp"] for one in heads}) == 3
    assert len({one["webhook-signature"] for one in heads}) == 3
    assert [one["number"] for one in telling.tries()] == [1, 2, 3]
    assert all(verified(one, telling.secrets["clinic"]) for one in receiver.seen)


@pytest.mark.parametrize("seed", range(2))
def test_r46_r47_who_loses_a_third_still_knows_the_order_and_gets_the_rest_by_asking(
    telling: Telling, receiver: Receiver, seed: int
) -> None:
    dice = Random(seed)
    happened = telling.happen(*(f"k{dice.randrange(4)}" for _ in range(30)))
    receiver.orders = [503 if dice.random() < 0.3 else 200 for _ in happened]
    telling.post()
    for _ in range(4):
        if telling.due():
            telling.pass_until_due()
            telling.post()

    # What it was sent and did not lose on its own way, another third.
    got = {one["data"]["id"]: one["data"] for one in receiver.messages() if dice.random() < 0.7}
    after, more = 0, True
    while more:
        page = telling.bridge.events(after)
        got |= {one["id"]: one for one in page.events if one["id"] not in got}
        after, more = page.last, page.more

    assert set(got) == set(happened)
    in_order = sorted(got.values(), key=lambda one: one["sequence"])
    assert [one["id"] for one in in_order] == happened
    for patient in {one["patient"] for one in in_order}:
        numbers = [one["patient_sequence"] for one in in_order if one["patient"] == patient]
        assert numbers == [*range(1, len(numbers) + 1)]


def test_o12_who_asks_for_a_pause_gets_nothing_before(telling: Telling, receiver: Receiver) -> None:
    receiver.orders = [says(429, "Retry-After: 7200")]
    telling.happens()
    telling.happens()

    assert telling.post() == 1
    telling.clock.advance(timedelta(minutes=119))
    assert telling.post() == 0
    telling.clock.advance(timedelta(minutes=2))
    assert telling.post() == 2


@pytest.mark.parametrize(
    "step",
    [
        redirect("http://169.254.169.254/latest/meta-data"),
        redirect("/elsewhere", status="308 Permanent Redirect"),
        answer_and_hang_up(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{}"),
        answer_and_hang_up(b"SSH-2.0-OpenSSH_9.2\r\n"),
        commit_then_reset,
        says(500, body=b"<html>"),
        answer(http(b"x" * 11_000_000)),
    ],
    ids=["redirect", "308", "cut", "no HTTP", "reset", "500", "too large"],
)
def test_o29_what_is_no_success_is_noted_and_tried_again(
    telling: Telling, receiver: Receiver, step: object
) -> None:
    receiver.orders = [step]  # type: ignore[list-item]
    telling.happens()

    telling.post()
    telling.pass_until_due()
    telling.post()

    assert [one["outcome"] for one in telling.tries()] == ["failed", "delivered"]
    assert len(receiver.seen) == 2  # and nothing where it points


def test_any_2xx_is_taken_whatever_it_says(telling: Telling, receiver: Receiver) -> None:
    receiver.orders = [answer(HTML_200), says(204)]
    telling.happens()
    telling.happens()

    telling.post()

    assert telling.standing()["messages"]["delivered"] == 2


def test_killed_between_sending_and_noting_it_goes_again_with_the_same_id(
    anywhere: Telling, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = anywhere
    telling.happens()

    with monkeypatch.context() as killed:
        killed.setattr(sender, "_note", _die)
        killed.setattr(sender, "_release", lambda *_: None)
        with pytest.raises(KilledError):
            telling.post()
    assert telling.post() == 0  # its lease lasts
    telling.clock.advance(owed.LEASE)
    telling.post()

    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert [one["outcome"] for one in telling.tries()] == ["begun", "delivered"]
    assert [one["number"] for one in telling.tries()] == [1, 1]


def test_s39_of_two_processes_one_sends_and_who_lost_the_lease_notes_nothing(
    anywhere: Telling,
) -> None:
    telling = anywhere
    telling.happens()
    sender.prepare(telling.hooks)
    (endpoint,) = sender.ready(telling.hooks)

    class Slow:
        """The way of a process that sleeps past its lease once it has sent."""

        def send(self, request: Request, *, deadline_seconds: float) -> Response:
            made = [sender.send_due(telling.hooks, endpoint, lambda: True)]
            telling.clock.advance(owed.LEASE)
            made.append(sender.send_due(telling.hooks, endpoint, lambda: True))
            assert (made, deadline_seconds) == ([0, 1], sender.DEADLINE_SECONDS)
            return Response(status=500, headers={}, body=request.body or b"")

    slow = replace(telling.hooks, connect=lambda _networks: Slow())
    assert sender.send_due(slow, endpoint, lambda: True) == 0

    assert [one["outcome"] for one in telling.tries()] == ["begun", "delivered"]
    assert telling.standing()["messages"]["delivered"] == 1


def test_p05_a_clock_that_went_back_keeps_no_lease_longer(
    telling: Telling, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling.happens()
    with monkeypatch.context() as killed:
        killed.setattr(sender, "_note", _die)
        killed.setattr(sender, "_release", lambda *_: None)
        with pytest.raises(KilledError):
            telling.post()

    telling.clock.jump(-timedelta(hours=5))
    telling.happens()
    telling.post()

    assert telling.standing()["messages"]["delivered"] == 1
    assert len(receiver.seen) == 2


def test_only_what_passes_the_filters_is_told(receiver: Receiver) -> None:
    telling = Telling()
    telling.connect()
    telling.add("clinic", receiver.url, kinds=("delivery.held",), destinations=("ehr",))
    wanted = telling.happens(at="ehr")
    telling.happens(at="other")
    telling.happens()
    telling.happens(at="ehr", kind=Kind.DELIVERY_DELIVERED)

    telling.post()

    assert receiver.ids == [wanted]


def test_while_a_secret_is_rotated_both_sign_for_a_day(
    telling: Telling, receiver: Receiver
) -> None:
    old = telling.secrets["clinic"]
    new = telling.bridge.webhooks.rotate("clinic", actor="test")
    for _ in range(2):
        telling.happens()
        telling.post()
        telling.clock.advance(DAY)

    first, second = receiver.seen
    assert verified(first, old) == verified(first, new)
    assert verified(second, new)
    with pytest.raises(AssertionError):
        verified(second, old)


class KilledError(BaseException):
    """The process is gone here."""


def _die(*_: object) -> None:
    raise KilledError
