"""O1, O2, O15 to O17 and O19: what may happen to a request between this machine and the EHR."""

import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

from fhirbridge.egress.exchange import Resolver
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.outbox.backoff import LONGEST_WAIT
from tests.egress import fake_server
from tests.egress.fake_resolver import FakeResolver
from tests.egress.fake_server import FakeServer, Step, Talk, gzipped, http
from tests.factories import a_short_visit, amended, rate
from tests.faults.conftest import MakePlace
from tests.faults.place import CAP, HERE, NOBODY, SHORT, Place

FULL = "127.0.0.3"  # this machine, where the queue of connections is full
METADATA = "169.254.169.254"
ONCE = ["send"]
READ_BACK_AND_OURS = ["send", "read back"]
Row = Sequence[tuple[Any, ...]]


def refused_by_dns(number: int) -> Callable[[str], Row]:
    def look_up(_host: str) -> Row:
        raise socket.gaierror(number, "Synthetic-Alvarez")

    return look_up


def hung(_host: str) -> Row:
    Event().wait(2 * SHORT)
    return [(None, None, None, "", (NOBODY, 0))]


# --- O1, O2: it never left ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (SystemResolver(look_up=refused_by_dns(socket.EAI_NONAME)), "dns: no such name"),
        (SystemResolver(look_up=refused_by_dns(socket.EAI_AGAIN)), "dns: server failed"),
        (SystemResolver(look_up=hung), "dns: timeout"),
        (FakeResolver(METADATA), "policy: metadata address"),
        (FakeResolver(f"{HERE} {METADATA}"), "policy: metadata address"),
    ],
    ids=["no such name", "server failed", "hangs", "rebound", "rebound in part"],
)
def test_o01_a_name_that_leads_nowhere_or_elsewhere_is_asked_again_later(
    make_place: MakePlace, names: Resolver, reason: str
) -> None:
    place = make_place()
    good, place.names = place.names, names

    receipt = place.accept(a_short_visit())
    place.sync()

    waiting = [row for row in place.rows() if row.state == "pending"]
    assert f"not sent: {reason}" in [row.reason for row in waiting]
    assert place.server.connections == 0
    assert timedelta() < due_in(place) <= LONGEST_WAIT
    place.names = good
    place.settle()
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}
    assert "read back" not in place.front.asked()


def due_in(place: Place) -> timedelta:
    due = place.bridge.next_due()
    assert due is not None
    return due - place.clock.now()


@pytest.mark.parametrize(
    ("address", "reason"), [(NOBODY, "connect: refused"), (FULL, "connect: timeout")]
)
def test_o02_a_connection_that_does_not_come_about_is_not_sent_and_tried_freely(
    make_place: MakePlace, address: str, reason: str
) -> None:
    place = make_place()
    place.names = FakeResolver(address)
    place.deadlines = [SHORT] * 20
    with socket.socket() as deaf, socket.socket() as first:
        deaf.bind((FULL, place.server.port))
        deaf.listen(0)
        first.connect((FULL, place.server.port))
        receipt = place.accept(a_short_visit())
        place.sync()

    assert f"not sent: {reason}" in [row.reason for row in place.rows("pending")]
    assert place.server.connections == 0
    place.names, place.deadlines = FakeResolver(HERE), []
    place.settle()
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}
    assert "read back" not in place.front.asked()


# --- O15, O16: an answer that is none -----------------------------------------------------------


def cut_after(part: bytes, more: int) -> Callable[[bytes], bytes]:
    return lambda raw: raw[: raw.index(part) + more]


def in_bad_chunks(raw: bytes) -> bytes:
    body = raw.split(b"\r\n\r\n", 1)[1]
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + body + b"\r\n0\r\n\r\n"


def of_wrong_length(raw: bytes) -> bytes:
    body = raw.split(b"\r\n\r\n", 1)[1]
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 7) + body


def without_end_of_headers(raw: bytes) -> bytes:
    return raw.split(b"\r\n\r\n", 1)[0] + b"\r\n"


SPOILT: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda _raw: b"", "answer: none came"),
    "cut in the status line": (cut_after(b"HTTP/", 5), "answer: cut short"),
    "cut in the headers": (cut_after(b"Content-Type", 9), "answer: cut short"),
    "cut at the end of the headers": (without_end_of_headers, "answer: cut short"),
    "cut in the body": (cut_after(b"\r\n\r\n", 60), "answer: cut short"),
    "wrong length": (of_wrong_length, "answer: cut short"),
    "bad chunk": (in_bad_chunks, "answer: bad chunk"),
    "not HTTP": (lambda _raw: b"220 smtp.invalid\r\n\r\n", "answer: not HTTP"),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_o15_a_broken_answer_is_unknown_and_read_back(place: Place, spoilt: str) -> None:
    change, reason = SPOILT[spoilt]
    place.order(place.front.garbled(change))

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.why() == [f"no certain answer: {reason}", "answered 200"]
    assert place.front.asked() == READ_BACK_AND_OURS
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


def test_o15_a_broken_answer_to_nothing_done_is_sent_again_under_its_guard(place: Place) -> None:
    place.order(fake_server.answer_and_hang_up(fake_server.HALF_HEADERS))

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == ["send", "read back", "send"]
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


def dripped(place: Place) -> Step:
    """Say a whole answer, a byte a second (of a fast clock)."""

    def step(talk: Talk) -> None:
        raw = place.front.served(talk)
        blanks = raw.index(b"\r\n\r\n")
        talk.say(raw[:blanks] + b"\r\nX-Slow: ")
        fake_server.drip(b"." * 50)(talk)
        talk.say(raw[blanks:])

    return step


def huge(place: Place) -> Step:
    """Promise ten gigabytes, and begin with them."""

    def step(talk: Talk) -> None:
        place.front.served(talk)
        talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n" + bytes(100_000))
        talk.stop.wait(SHORT)
        talk.hang_up()

    return step


def endless(place: Place) -> Step:
    """Say pieces without an end."""
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    first = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return place.front.after_commit(fake_server.endless(first, piece))


def bomb(place: Place) -> Step:
    """Say the right answer with three megabytes of blanks, which gzip makes a few kilobytes."""

    def inflated(raw: bytes) -> bytes:
        body = raw.split(b"\r\n\r\n", 1)[1]
        return http(gzipped(body + b" " * 10 * CAP), "Content-Encoding: gzip")

    return place.front.garbled(inflated, hangs_up=False)


TOO_MUCH = [
    (dripped, "answer: timeout"),
    (huge, "answer: too large"),
    (endless, "answer: too large"),
    (bomb, "answer: too large"),
]


@pytest.mark.parametrize(("made", "reason"), TOO_MUCH, ids=["drip", "huge", "endless", "bomb"])
def test_o16_an_answer_without_end_is_given_up_and_read_back(
    place: Place, made: Callable[[Place], Step], reason: str
) -> None:
    place.order(made(place))
    place.deadlines = [SHORT if made is dripped else 10]

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.why()[0].removeprefix("no certain answer: ") in (reason, "read: timeout")
    assert place.front.asked() == READ_BACK_AND_OURS
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


# --- O17: elsewhere -----------------------------------------------------------------------------

REDIRECTS = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
]


@pytest.mark.parametrize("status", REDIRECTS)
def test_o17_a_redirect_is_never_followed_parks_and_is_told(place: Place, status: str) -> None:
    with FakeServer() as elsewhere:
        place.always(fake_server.redirect(f"{elsewhere.url}/fhir", status))
        receipt = place.take(a_short_visit())
        assert (elsewhere.connections, elsewhere.seen) == (0, [])
        place.settle()

        assert (elsewhere.connections, elsewhere.seen) == (0, [])
    parked = place.delivery(receipt)
    said = f"refused: the EHR answered {status[:3]}, a redirect, which is never followed"
    assert (parked.state, parked.reason) == ("parked", said)
    assert place.front.asked() == ONCE
    assert place.ehr.history(place.pulse(receipt)) == []
    assert "parked: refused" in place.alarms()
    assert '"event": "ehr.redirects"' in place.lines.getvalue()


@pytest.mark.parametrize("to", [f"http://{METADATA}/latest", "file:///etc/passwd", "//x", ""])
def test_o17_a_redirect_of_a_read_back_leads_nowhere_either(place: Place, to: str) -> None:
    place.order(place.front.after_commit(fake_server.commit_then_reset), fake_server.redirect(to))

    receipt = place.take(a_short_visit())
    place.settle()

    assert place.front.asked() == ["send", "read back", "read back"]
    assert place.delivery(receipt).state == "delivered"
    assert place.versions(receipt) == {1}


def test_s08_a_proxy_of_the_environment_gets_no_request(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        receipt = place.take(a_short_visit())

        assert (proxy.connections, proxy.seen) == (0, [])
    assert place.delivery(receipt).state == "delivered"


# --- O19: a kept connection ---------------------------------------------------------------------


def test_o19_a_kept_connection_that_was_closed_costs_nothing(place: Place) -> None:
    place.order(place.front.garbled(lambda raw: raw))  # says the answer, then hangs up
    first = place.take(a_short_visit())

    second = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    assert place.server.connections == 2
    assert place.delivery(first).state == place.delivery(second).state == "delivered"
    assert len(place.ehr.history(place.pulse(first))) == 2


@pytest.mark.parametrize("step", [fake_server.drop_while_written_to, fake_server.commit_then_drop])
def test_o19_a_kept_connection_closed_as_we_write_is_read_back_before_it_is_sent_again(
    place: Place, step: Step
) -> None:
    first = place.take(a_short_visit())
    place.order(step)

    second = place.take(amended(a_short_visit(), rate(90)))
    place.settle()

    assert place.server.connections > 1
    assert place.front.asked() == ["send", "send", "read back", "send"]
    assert place.delivery(second).state == "delivered"
    assert len(place.ehr.history(place.pulse(first))) == 2
