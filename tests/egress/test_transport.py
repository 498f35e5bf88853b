"""The outbound fault rows O1, O2, O3, O15, O16 and S11, on real sockets."""

import logging
import socket
from collections.abc import Iterator

import pytest

from fhirbridge import __version__
from fhirbridge.clock import SystemClock
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.egress.transport import HttpTransport
from tests.egress import fake_server
from tests.egress.conftest import MakeTransport, Serve
from tests.egress.fake_resolver import FakeResolver
from tests.egress.fake_server import Step, Talk, get, put

SOON = 0.3


@pytest.fixture
def full_queue() -> Iterator[int]:
    """The port of a listener that takes no more connections, nor refuses them."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for sock in waiting:
            sock.close()


# What is sent, and what a whole answer is


def test_a_request_is_sent_as_it_was_made(serve: Serve, transport: HttpTransport) -> None:
    server = serve()

    answer = transport.send(put(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert answer.body == b"{}"
    assert answer.headers["content-type"] == "application/fhir+json"
    [seen] = server.seen
    assert (seen.method, seen.target) == ("PUT", "/fhir/Patient/abc")
    assert seen.body == b'{"resourceType": "Patient"}'
    assert seen.headers == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/fhir+json",
        "if-match": 'W/"3"',
        "user-agent": f"fhirbridge/{__version__}",
        "accept-encoding": "gzip",
        "content-length": "27",
    }


@pytest.mark.parametrize("status", [200, 201, 304, 400, 401, 404, 409, 412, 422, 429, 500, 503])
def test_a_complete_answer_of_any_status_is_a_response(
    serve: Serve, transport: HttpTransport, status: int
) -> None:
    body = b"" if status == 304 else b"x"
    server = serve(fake_server.answer(fake_server.http(body, status=f"{status} Whatever")))

    answer = transport.send(put(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (status, body)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (fake_server.http(fake_server.gzipped(b"{}" * 999), "Content-Encoding: gzip"), b"{}" * 999),
        (fake_server.chunked(b"ab", b"c"), b"abc"),
        (fake_server.HTML_200, b"<html>Please sign in</html>"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + fake_server.OK, b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_a_whole_answer_in_any_form_is_taken(
    serve: Serve, transport: HttpTransport, raw: bytes, body: bytes
) -> None:
    server = serve(fake_server.answer(raw))

    answer = transport.send(get(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert answer.body == body


def test_an_answer_that_ends_with_the_connection_is_taken(
    serve: Serve, transport: HttpTransport
) -> None:
    server = serve(fake_server.answer_and_hang_up(b"HTTP/1.0 200 OK\r\n\r\n{}"))

    answer = transport.send(get(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert answer.body == b"{}"


def test_an_early_refusal_of_a_large_body_is_still_heard(
    serve: Serve, transport: HttpTransport
) -> None:
    def refuse(talk: Talk) -> None:
        talk.say(fake_server.http(b"", "Connection: close", status="413 Too Large"))
        talk.sock.shutdown(socket.SHUT_WR)
        talk.body()
        talk.hang_up()

    server = serve(refuse)

    answer = transport.send(put(server.url, bytes(5_000_000)), deadline_seconds=5)

    assert isinstance(answer, Response)
    assert answer.status == 413


# Not sent


def test_o2_a_refused_connection_is_not_sent(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    answer = transport.send(put(f"http://127.0.0.1:{port}"), deadline_seconds=SOON)

    assert answer == NotSent(reason="connect: refused")


def test_o2_a_connection_that_hangs_is_not_sent(transport: HttpTransport, full_queue: int) -> None:
    began = SystemClock().monotonic()

    answer = transport.send(put(f"http://127.0.0.1:{full_queue}"), deadline_seconds=SOON)

    assert answer == NotSent(reason="connect: timeout")
    assert SystemClock().monotonic() - began < 1


def test_o2_the_next_address_is_tried_within_the_deadline(
    serve: Serve, make_transport: MakeTransport
) -> None:
    server = serve()
    transport = make_transport(resolver=FakeResolver("::1 127.0.0.1"))

    answer = transport.send(get(f"http://ehr.example:{server.port}"), deadline_seconds=SOON)

    assert isinstance(answer, Response)


def test_o1_a_name_that_does_not_resolve_is_not_sent(make_transport: MakeTransport) -> None:
    transport = make_transport(resolver=FakeResolver())

    answer = transport.send(get("https://ehr.example"), deadline_seconds=SOON)

    assert answer == NotSent(reason="dns: no such name")


@pytest.mark.parametrize("deadline", [0, -1, 1e-9])
def test_a_deadline_that_has_passed_sends_nothing(
    serve: Serve, transport: HttpTransport, deadline: float
) -> None:
    server = serve()

    answer = transport.send(put(server.url), deadline_seconds=deadline)

    assert isinstance(answer, NotSent)
    assert server.seen == []


# Unknown: the request has left, wholly or in part


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (fake_server.commit_then_drop, "answer: none came"),
        (fake_server.commit_then_reset, "read: reset"),
        (fake_server.silence, "read: timeout"),
    ],
)
def test_o3_an_answer_lost_after_the_commit_is_unknown_and_never_sent_again(
    serve: Serve, transport: HttpTransport, step: Step, reason: str
) -> None:
    server = serve(step)

    answer = transport.send(put(server.url), deadline_seconds=SOON)

    assert answer == Unknown(reason=reason)
    assert [seen.body for seen in server.seen] == [b'{"resourceType": "Patient"}']


BROKEN = {
    "cut in the status line": b"HTTP/1.1 20",
    "cut after the status line": b"HTTP/1.1 200 OK\r\n",
    "cut in the headers": fake_server.HALF_HEADERS,
    "cut before the last line of the headers": b"HTTP/1.1 204 No Content\r\nX: y\r\n",
    "cut in a header block after a 100": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    "shorter than its length": fake_server.WRONG_LENGTH,
    "a bad chunk": fake_server.BAD_CHUNK,
    "chunks without the last": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "a cut trailer": fake_server.chunked(b"{}")[:-2],
    "a cut gzip": fake_server.http(fake_server.gzipped(b"{}" * 50)[:-9], "Content-Encoding: gzip"),
    "no gzip at all": fake_server.http(b"{}", "Content-Encoding: gzip"),
    "an encoding nobody asked for": fake_server.http(b"{}", "Content-Encoding: br"),
    "two lengths": fake_server.http(b"{}", "Content-Length: 3"),
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another HTTP": b"HTTP/2 200\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "only an early hint": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "a line that is no header": b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\n{}",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
def test_o15_a_broken_answer_is_unknown(serve: Serve, transport: HttpTransport, raw: bytes) -> None:
    server = serve(fake_server.answer_and_hang_up(raw))

    answer = transport.send(put(server.url), deadline_seconds=2)

    assert isinstance(answer, Unknown)
    assert answer.reason.startswith("answer: ")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "raw",
    [fake_server.OK, fake_server.chunked(b"ab", b"c"), fake_server.http(b"", "ETag: W/1")],
    ids=["length", "chunks", "empty"],
)
def test_o15_an_answer_cut_at_any_byte_is_unknown(
    serve: Serve, transport: HttpTransport, raw: bytes
) -> None:
    cuts = [fake_server.answer_and_hang_up(raw[:cut]) for cut in range(len(raw))]
    server = serve(*cuts, fake_server.answer(raw))

    answers = [transport.send(put(server.url), deadline_seconds=2) for _ in cuts]

    assert all(isinstance(answer, Unknown) for answer in answers)
    assert isinstance(transport.send(put(server.url), deadline_seconds=2), Response)


def test_a_broken_answer_leaves_no_content_in_the_log(
    serve: Serve, transport: HttpTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    raw = b"HTTP/1.1 200 OK\r\ncanary-q7\r\nContent-Length: 2\r\n\r\n{}"
    server = serve(fake_server.answer_and_hang_up(raw))

    transport.send(get(server.url), deadline_seconds=2)
    logging.getLogger("control").debug("canary-q7")

    assert [record.name for record in caplog.records] == ["control"]


# One deadline and one cap for the whole exchange


SLOW = {
    "headers": fake_server.drip(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 500),
    "header lines": fake_server.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 90),
    "a body": fake_server.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500),
    "chunks": fake_server.drip(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 90
    ),
    "an endless 100": fake_server.endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "nothing": fake_server.silence,
}


@pytest.mark.parametrize("step", SLOW.values(), ids=SLOW.keys())
def test_o16_s11_a_slow_answer_ends_at_the_total_deadline(
    serve: Serve, transport: HttpTransport, step: Step
) -> None:
    server = serve(step)
    began = SystemClock().monotonic()

    answer = transport.send(put(server.url), deadline_seconds=SOON)

    assert isinstance(answer, Unknown)
    assert SystemClock().monotonic() - began < 1


@pytest.mark.parametrize("step", [fake_server.deaf, fake_server.sip], ids=["deaf", "slow"])
def test_s11_a_server_that_hardly_reads_ends_at_the_total_deadline(
    serve: Serve, transport: HttpTransport, step: Step
) -> None:
    server = serve(step)
    began = SystemClock().monotonic()

    answer = transport.send(put(server.url, bytes(20_000_000)), deadline_seconds=SOON)

    assert answer == Unknown(reason="send: timeout")
    assert SystemClock().monotonic() - began < 1


HUGE = {
    "10 GB by its length": fake_server.answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"
    ),
    "a body without end": fake_server.endless(b"HTTP/1.0 200 OK\r\n\r\n", bytes(10_000)),
    "chunks without end": fake_server.endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nxxxx\r\n" * 100
    ),
    "chunk extensions": fake_server.endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 8000 + b"\r\nx\r\n"
    ),
    "trailers without end": fake_server.endless(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100
    ),
    "headers of 6 MB": fake_server.answer(
        b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 65_000 + b"\r\n") * 90 + b"\r\n"
    ),
    "a gzip bomb": fake_server.answer(fake_server.GZIP_BOMB),
}


@pytest.mark.parametrize("step", HUGE.values(), ids=HUGE.keys())
def test_o16_s11_a_huge_answer_is_cut_off_at_the_cap(
    serve: Serve, transport: HttpTransport, step: Step
) -> None:
    server = serve(step)

    answer = transport.send(put(server.url), deadline_seconds=5)

    assert answer == Unknown(reason="answer: too large")


def test_a_body_of_exactly_the_cap_is_taken(serve: Serve, transport: HttpTransport) -> None:
    server = serve(fake_server.answer(fake_server.http(bytes(100_000))))

    answer = transport.send(get(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
