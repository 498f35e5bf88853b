"""Hundreds of senders that are slow, or mean to be, beside one that is not."""

import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fhirbridge import opening
from fhirbridge.cli import buffering
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from tests.records.visits import a_visit
from tests.source_rules import ROOT
from tests.web.service import settings_below
from tests.web.test_over_a_socket import Server, port_of

# The same program; only its bounds may be tighter in a test.
SERVE = """
import sys
from fhirbridge.cli import buffering, main
buffering.REQUEST_SECONDS = float(sys.argv.pop(1))
buffering.MOST_HELD = int(sys.argv.pop(1))
main()
"""
REAL_SECONDS = buffering.REQUEST_SECONDS
HEAD = b"POST /webhooks/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
# What each kind has said before it dawdles, and what it says a byte at a time.
KINDS = {
    "nothing": (b"", b""),
    "head": (b"GET /healthz HTTP/1.1\r\nX: ", b"x"),
    "body": (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
}


@dataclass(frozen=True, slots=True)
class Dawdled:
    """What became of the slow ones, and of who asked beside them. Seconds."""

    closed: int
    longest: float  # that one of them was let be
    refused: int  # of the requests beside them
    median: float  # of these, and of the same without the slow ones
    alone: float
    slowest: float
    stored: int


@contextmanager
def served(folder: Path, seconds: float, *, held: int = buffering.MOST_HELD) -> Iterator[Server]:
    """Serve an installation that gives a sender so many seconds, and holds so many bytes."""
    token = opening.initialise(settings_below(folder / "home"))
    yield from _serve(folder, seconds, held, token, "log")


@contextmanager
def again(folder: Path) -> Iterator[Server]:
    """Serve an installation that is there, by one more process."""
    yield from _serve(folder, REAL_SECONDS, buffering.MOST_HELD, "", "log-2")


def _serve(folder: Path, seconds: float, held: int, token: str, log_name: str) -> Iterator[Server]:
    environment = {"FHIRBRIDGE_HOME": str(folder / "home"), "HOME": str(folder), "PATH": ""}
    words = [sys.executable, "-c", SERVE, str(seconds), str(held), "serve", "--no-deliver"]
    log = folder / log_name
    with log.open("wb") as lines:
        running = subprocess.Popen(
            [*words, "--bind", "127.0.0.1:0"],
            cwd=ROOT,
            env=environment,
            stdout=lines,
            stderr=lines,
        )
        try:
            yield Server(port=port_of(running, log), token=token, log=log)
        finally:
            running.terminate()
            running.wait(timeout=60)


def dawdle(server: Server, senders: int, *, asks: int) -> Dawdled:
    """Let so many dawdle, ask beside them, and wait until the service closed all of them."""
    clock = SystemClock()
    alone = [_ask(server, clock, number) for number in range(asks)]
    kinds = [KINDS[name] for name in sorted(KINDS)]
    begun = clock.monotonic()
    slow = [
        (socket.create_connection(("127.0.0.1", server.port), timeout=60), kinds[n % len(kinds)])
        for n in range(senders)
    ]
    over = threading.Event()
    dawdling = threading.Thread(target=_dawdle, args=(slow, over))
    dawdling.start()
    beside = [_ask(server, clock, asks + number) for number in range(asks)]
    closed = sum(_is_closed(line) for line, _ in slow)
    longest = clock.monotonic() - begun
    over.set()
    dawdling.join()
    for line, _ in slow:
        line.close()
    return Dawdled(
        closed=closed,
        longest=longest,
        refused=sum(status != 202 for status, _ in alone + beside),
        median=statistics.median(seconds for _, seconds in beside),
        alone=statistics.median(seconds for _, seconds in alone),
        slowest=max(seconds for _, seconds in beside),
        stored=server.records(),
    )


def _ask(server: Server, clock: SystemClock, number: int) -> tuple[int, float]:
    body = codec.encode(a_visit(session_id=f"s-{number}"))
    begun = clock.monotonic()
    status, _ = server.post(body, header=f"Content-Length: {len(body)}")
    return status, clock.monotonic() - begun


def _dawdle(slow: list[tuple[socket.socket, tuple[bytes, bytes]]], over: threading.Event) -> None:
    for line, (first, _) in slow:
        line.sendall(first)
    while not over.wait(1):
        for line, (_, more) in slow:
            try:
                line.send(more)
            except OSError:
                continue


def _is_closed(line: socket.socket) -> bool:
    """Wait until the service closes it. Raises TimeoutError where it does not."""
    try:
        while line.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True
