"""A backlog that is sent to the real service while its answers are read, and what that costs it."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhirbridge import opening
from fhirbridge.fhir import codec
from tests.records.visits import a_visit
from tests.source_rules import ROOT
from tests.web.service import settings_below


@dataclass(frozen=True)
class Taken:
    """What came back, and by how many bytes the service grew from the tenth line to the last."""

    answers: list[dict[str, Any]]
    grown: int


def take(home: Path, lines: int) -> Taken:
    """Send so many records, one to a line, over one connection, each after the answer to its last.

    One of ten is no record.
    """
    token = opening.initialise(settings_below(home / "home"))
    ready = home / "ready"
    command = [sys.executable, "-m", "fhirbridge", "serve", "--no-deliver", "--bind", "127.0.0.1:0"]
    environment = {"FHIRBRIDGE_HOME": str(home / "home"), "HOME": str(home), "PATH": ""}
    with subprocess.Popen(
        [*command, "--ready-file", str(ready)],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.DEVNULL,
    ) as serving:
        try:
            while serving.poll() is None and not (ready.exists() and ready.read_text()):
                with suppress(subprocess.TimeoutExpired):
                    serving.wait(timeout=0.05)
            address = ready.read_text()
            return _sent(int(address.rpartition(":")[2]), token, lines, serving.pid)
        finally:
            serving.terminate()


def _sent(port: int, token: str, lines: int, process: int) -> Taken:
    head = (
        "POST /api/v1/records/bulk HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    with closing(socket.create_connection(("127.0.0.1", port), timeout=120)) as line:
        line.sendall(head.encode())
        before = 0
        answered = threading.Semaphore(10)

        def send() -> None:
            for raw in records(lines):
                answered.acquire()
                line.sendall(b"%x\r\n%s\r\n" % (len(raw), raw))
            line.sendall(b"0\r\n\r\n")

        sending = threading.Thread(target=send)
        sending.start()
        answers = []
        for answer in _lines_of(line.makefile("rb")):
            answers.append(answer)
            answered.release()
            if len(answers) == 10:
                before = most_memory(process)
        sending.join()
    return Taken(answers=answers, grown=most_memory(process) - before)


def records(lines: int) -> Iterator[bytes]:
    for number in range(lines):
        content = {} if number % 10 == 9 else a_visit(session_id=f"s-{number}")
        yield codec.encode(content) + b"\n"


def _lines_of(stream: Any) -> Iterator[dict[str, Any]]:
    """Read the answer's chunks; each is one line."""
    while stream.readline().strip():
        pass  # the headers
    while size := int(stream.readline(), 16):
        yield codec.decode(stream.read(size))
        stream.readline()


def most_memory(process: int) -> int:
    """Return the most bytes that the children of a process had in memory, so far."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return max(_high_water(Path(f"/proc/{child}/status")) for child in children)


def _high_water(status: Path) -> int:
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
