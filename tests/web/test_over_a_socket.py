"""What only a real server shows: bodies without a length, broken ones, and senders that hang up."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from fhirbridge import opening
from fhirbridge.fhir import codec
from tests.records.visits import a_visit
from tests.source_rules import ROOT
from tests.web.service import MOST_BYTES, settings_below

pytestmark = pytest.mark.slow

SERVERS = {
    "serve": ["-m", "fhirbridge", "serve", "--no-deliver", "--bind", "127.0.0.1:0"],
    "wsgi": ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--threads", "4", "wsgi:application"],
}
CANARY = "Kanarienvogel7261"
CHUNKED = "Transfer-Encoding: chunked"


@dataclass
class Server:
    port: int
    token: str
    log: Path

    def ask(self, *parts: bytes) -> tuple[int, bytes]:
        """Send the parts one by one until the server hangs up; return status and answer."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=20)) as line:
            try:
                for part in parts:
                    line.sendall(part)
                line.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = read(line)
        found = re.match(rb"HTTP/1.1 (\d+)", answer)
        return (int(found.group(1)) if found else 0), answer

    def post(self, *parts: bytes, header: str) -> tuple[int, bytes]:
        return self.ask(self.head("POST", "/api/v1/sessions", header), *parts)

    def get(self, path: str) -> tuple[int, bytes]:
        return self.ask(self.head("GET", path, "Accept: */*"))

    def head(self, method: str, path: str, *headers: str) -> bytes:
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: localhost",
            "Connection: close",
            "Content-Type: application/json",
            f"Authorization: Bearer {self.token}",
            *headers,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def records(self) -> int:
        status = codec.decode(self.get("/api/v1/status")[1].partition(b"\r\n\r\n")[2])
        return int(status["records"])


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    token = opening.initialise(settings_below(folder / "home"))
    environment = {
        "FHIRBRIDGE_HOME": str(folder / "home"),
        "FHIRBRIDGE_MOST_BYTES": str(MOST_BYTES),
        "HOME": str(folder),
        "PATH": "",
    }
    log = folder / "log"
    with log.open("wb") as lines:
        command = [sys.executable, *SERVERS[request.param]]
        running = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=lines, stderr=lines)
        try:
            yield Server(port=port_of(running, log), token=token, log=log)
        finally:
            running.terminate()
            running.wait(timeout=60)


def port_of(running: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until the server says where it listens; a server that ends says why."""
    while running.poll() is None:
        found = re.search(r"istening (?:on|at:?) http://127.0.0.1:(\d+)", log.read_text())
        if found:
            return int(found.group(1))
    raise AssertionError(log.read_text())


def read(line: socket.socket) -> bytes:
    answer = b""
    try:
        while part := line.recv(65536):
            answer += part
    except ConnectionResetError:
        pass
    return answer


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def test_a_chunked_record_is_taken_and_read_again(server: Server) -> None:
    body = codec.encode(a_visit())
    middle = len(body) // 2

    status, answer = server.post(
        chunk(body[:middle]), chunk(body[middle:]), b"0\r\n\r\n", header=CHUNKED
    )

    assert status == 202
    assert b"\r\nLocation: /api/v1/sessions/" in answer
    assert server.records() == 1


def test_i11_a_chunked_body_without_an_end_is_refused(server: Server) -> None:
    before = server.records()

    status, _ = server.post(*[chunk(b" " * 8192)] * 1000, header=CHUNKED)

    # The server hangs up on what it does not read, so that the answer may be lost on the way.
    assert status in {413, 0}
    assert server.records() == before
    assert '"status": 413' in server.log.read_text()


def test_i11_a_chunked_body_just_past_the_limit_is_told_so(server: Server) -> None:
    status, answer = server.post(chunk(b" " * (MOST_BYTES + 1)), b"0\r\n\r\n", header=CHUNKED)

    assert status == 413
    assert b"application/problem+json" in answer


def test_i11_a_length_past_the_limit_is_refused_before_the_body_comes(server: Server) -> None:
    status, _ = server.post(header=f"Content-Length: {10**10}")

    assert status == 413


@pytest.mark.parametrize("body", [b"zz\r\n{}\r\n", b"-1\r\n{}\r\n", b"5\r\n{}", b"2\r\n{}xx"])
def test_a_chunked_body_that_is_broken_leaves_nothing(server: Server, body: bytes) -> None:
    before = server.records()

    status, _ = server.post(body, header=CHUNKED)

    assert status in {0, 400}
    assert server.records() == before


def test_i16_a_sender_that_hangs_up_in_the_middle_leaves_nothing(server: Server) -> None:
    before = server.records()
    body = codec.encode(a_visit(session_id="cut off"))

    status, _ = server.post(body[:-10], header=f"Content-Length: {len(body)}")

    assert status in {0, 400}
    assert server.records() == before


def test_s13_what_the_server_itself_refuses_is_not_in_its_log(server: Server) -> None:
    for line in (
        f"GET /{CANARY} extra HTTP/1.1\r\n\r\n",
        f"GET /{CANARY} HTTP/9.9\r\n\r\n",
        f"GET / HTTP/1.1\r\n{CANARY} : x\r\n\r\n",
        f"GET / HTTP/1.1\r\nX: {CANARY}\x00\r\n\r\n",
        f"GET / HTTP/1.1\r\nTransfer-Encoding: {CANARY}\r\n\r\n",
        f"GET /{CANARY}{'x' * 10_000} HTTP/1.1\r\n\r\n",
        f"GET / HTTP/1.1\r\nX: {CANARY}{'x' * 10_000}\r\n\r\n",
        "GET / HTTP/1.1\r\n" + f"X: {CANARY}\r\n" * 1000 + "\r\n",
    ):
        status, _ = server.ask(line.encode("latin-1"))
        assert status in {0, *range(400, 506)}

    assert server.get("/healthz")[0] == 200
    assert '"kind": "gunicorn.error"' in server.log.read_text()
    assert CANARY not in server.log.read_text()
