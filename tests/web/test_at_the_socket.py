"""What the server's own worker does with connections, before an application knows of them."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from fhirbridge.cli.arriving import MOST_HEAD
from fhirbridge.fhir import codec
from tests.numbers import slow
from tests.records.visits import a_visit
from tests.web.test_over_a_socket import Server

pytestmark = pytest.mark.slow
SECONDS = 20
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK"
MOST_HELD = 300_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with slow.served(tmp_path_factory.mktemp("socket"), SECONDS, held=MOST_HELD) as made:
        yield made


@pytest.fixture
def line(server: Server) -> Iterator[socket.socket]:
    with closing(connected(server)) as made:
        yield made


def connected(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)


def until(line: socket.socket, text: bytes, times: int = 1) -> bytes:
    """Read until this came so often, or the other side closes."""
    got = b""
    while got.count(text) < times and (part := line.recv(65536)):
        got += part
    return got


def test_requests_that_come_together_are_answered_in_turn(line: socket.socket) -> None:
    line.sendall(GET * 3)

    assert until(line, b'{"status":"ok"}', 3).count(OK) == 3


def test_a_request_cut_anywhere_and_the_next_one_are_answered(line: socket.socket) -> None:
    for cut in (1, 17, len(GET) - 1):
        line.sendall(GET[:cut])
        line.sendall(GET[cut:] + GET[:cut])
        line.sendall(GET[cut:])
        assert until(line, b'{"status":"ok"}', 2).count(OK) == 2


def test_who_waits_to_be_told_to_go_on_is_told(server: Server, line: socket.socket) -> None:
    body = codec.encode(a_visit(session_id="waited"))
    head = server.head(
        "POST", "/api/v1/sessions", f"Content-Length: {len(body)}", "Expect: 100-continue"
    )
    line.sendall(head)

    told = until(line, b"\r\n\r\n")
    line.sendall(body)
    answer = until(line, b"HTTP/1.1 202")

    assert told.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"HTTP/1.1 202" in answer


def test_i19_what_all_send_together_is_bounded_and_told_when_to_come_back(
    server: Server,
) -> None:
    head = slow.HEAD + b"Content-Length: 90000\r\n\r\n"
    lines = [connected(server) for _ in range(6)]
    for one in lines:
        one.sendall(head + b" " * 80_000)

    answered = [one for one in lines if _has_answer(one)]
    first = until(answered[0], b"wait as long")
    beside = server.get("/healthz")[0]
    for one in lines:
        one.close()

    assert 2 <= len(answered) <= 4
    assert first.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nRetry-After: 5\r\n" in first
    assert b"application/problem+json" in first
    assert beside == 200
    body = codec.encode(a_visit(session_id="afterwards"))
    assert server.post(body, header=f"Content-Length: {len(body)}")[0] == 202  # room again


def _has_answer(line: socket.socket) -> bool:
    line.settimeout(2)
    try:
        return bool(line.recv(1, socket.MSG_PEEK))
    except TimeoutError:
        return False
    finally:
        line.settimeout(SECONDS)


def test_who_hangs_up_before_the_answer_leaves_nothing_behind(server: Server) -> None:
    for sent in (b"", GET[:5], GET, slow.HEAD + b"Content-Length: 10\r\n\r\n1"):
        for _ in range(20):
            with closing(connected(server)) as one:
                one.sendall(sent)

    assert server.get("/healthz")[0] == 200


def test_i11_i15_a_head_without_an_end_is_refused(line: socket.socket) -> None:
    line.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (MOST_HEAD // 6 + 1))

    assert until(line, b"\r\n\r\n").startswith(b"HTTP/1.1 431 ")
