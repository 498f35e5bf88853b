"""What is read of a notification: its shape, and how many there were. Everything else is a hint."""

from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.subscriptions import notification
from fhirbridge.subscriptions.notification import PLAIN, Counted, Shape, Told
from tests.subscriptions.telling import of_r4, of_r4b


@pytest.mark.parametrize("written", [of_r4, of_r4b])
@pytest.mark.parametrize(
    ("shape", "since", "events"),
    [
        ("handshake", 0, ()),
        ("heartbeat", 2, ()),
        ("event-notification", 2, (2,)),
        ("event-notification", 9, (7, 8, 9)),
    ],
)
def test_r51_the_three_shapes_are_read_in_r4_and_r4b(
    written: Any, shape: str, since: int, events: tuple[int, ...]
) -> None:
    told = notification.read(written(shape, since=since, events=events, focus="Encounter/e1"))

    assert told == Told(shape=Shape(shape), subscription="s1", numbers=events, since_start=since)


@pytest.mark.parametrize("written", [of_r4, of_r4b])
def test_r51_an_answer_to_a_query_tells_of_no_change(written: Any) -> None:
    told = notification.read(written("query-status", since=3))

    assert (told.shape, told.tells_of_a_change) == (Shape.ANSWER, False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"resourceType":"Observation","id":"1"}',
        b'{"type":"history"}',
        b'{"type":"history","entry":{}}',
        b'{"type":"history","entry":[null]}',
        b'{"type":"history","entry":[{"resource":[]}]}',
        b'{"type":"history","entry":[{"resource":{"resourceType":"Patient"}}]}',
        b"[" * 100_000,
    ],
)
def test_i21_whatever_else_comes_is_a_hint_and_no_more(raw: bytes) -> None:
    assert notification.read(raw) == PLAIN
    assert PLAIN.tells_of_a_change


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameter": "type"},
        {"parameter": [None, 3, {"name": "type"}]},
        {"parameter": [{"name": "type", "valueCode": ["event-notification"]}]},
        {"parameter": [{"name": "notification-event", "part": {"name": "event-number"}}]},
        {"parameter": [{"name": "events-since-subscription-start", "valueString": "-1"}]},
        {"parameter": [{"name": "events-since-subscription-start", "valueString": "9" * 400}]},
        {"parameter": [{"name": "events-since-subscription-start", "valueBoolean": True}]},
        {"parameter": [{"name": "subscription", "valueReference": {"reference": "Patient/p"}}]},
        {"parameter": [{"name": "subscription", "valueReference": "Subscription/s"}]},
    ],
)
def test_i21_a_status_that_makes_no_sense_counts_nothing(wrong: dict[str, Any]) -> None:
    status = {"resourceType": "Parameters", **wrong}
    whole = {"resourceType": "Bundle", "type": "history", "entry": [{"resource": status}]}

    told = notification.read(codec.encode(whole))

    assert (told.subscription, told.numbers, told.since_start) == ("", (), None)


@pytest.mark.parametrize(
    ("last", "shape", "since", "events", "heard"),
    [
        (None, Shape.EVENT, 5, (5,), Counted(5, is_gap=False)),  # nobody knows what was before
        (4, Shape.EVENT, 5, (5,), Counted(5, is_gap=False)),
        (4, Shape.EVENT, 6, (6,), Counted(6, is_gap=True)),
        (4, Shape.EVENT, 7, (5, 6, 7), Counted(7, is_gap=False)),
        (4, Shape.EVENT, 4, (4,), Counted(4, is_gap=False)),  # twice
        (4, Shape.EVENT, 4, (2,), Counted(4, is_gap=False)),  # late
        (4, Shape.EVENT, 6, (), Counted(6, is_gap=True)),
        (4, Shape.HEARTBEAT, 4, (), Counted(4, is_gap=False)),
        (4, Shape.HEARTBEAT, 5, (), Counted(5, is_gap=True)),
        (4, Shape.HEARTBEAT, None, (), Counted(4, is_gap=False)),
        (4, Shape.HANDSHAKE, 0, (), Counted(0, is_gap=False)),  # it begins anew
        (None, Shape.PLAIN, None, (), Counted(None, is_gap=False)),
    ],
)
def test_r51_an_event_number_that_was_left_out_is_a_gap(
    last: int | None, shape: Shape, since: int | None, events: tuple[int, ...], heard: Counted
) -> None:
    told = Told(shape=shape, subscription="s1", numbers=events, since_start=since)

    assert notification.counted(last, told) == heard
