"""P16 and P20: descriptors, memory and threads run out, the log is blocked: it goes on after."""

import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from fhirbridge import log
from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.store.engine import Store
from tests.factories import World, a_short_visit
from tests.journey import processes
from tests.journey.installation import install
from tests.mapping_sets import few_mappings

SECONDS = 30
DESCRIPTORS = 40
CLIENTS = 80
THREADS = 8  # of `serve`


@dataclass(frozen=True)
class Running:
    url: str
    secret: str
    home: Path


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, written_mappings: Path) -> Iterator[Running]:
    """A service that may have few descriptors open, and an integrator's token."""
    folder = tmp_path_factory.mktemp("few-descriptors")
    made = install(folder / "home", mappings=written_mappings)
    with made.bridge() as bridge:
        secret = bridge.make_token(name="clinic", role=Role.INTEGRATOR, actor="test")
    env = processes.environment(home=str(folder / "home"), site="clinic.invalid")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))  # it inherits that
        try:
            serving = processes.serving(folder, "serve", "--no-deliver", env=env)
            service = stack.enter_context(serving)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        yield Running(service.url, secret, folder / "home")


def post(running: Running, number: int, *, seconds: float = SECONDS) -> int:
    """Send one record; return the status, or 0 where no answer came."""
    where = urlsplit(running.url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=seconds)
    body = codec.encode(a_short_visit(number))
    headers = {"Authorization": f"Bearer {running.secret}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/api/v1/sessions", body, headers)
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def records(home: Path) -> int:
    store = Store(f"sqlite:///{home / 'fhirbridge.db'}")
    with store.read() as tx:
        found = tx.scalar(text("SELECT count(*) FROM record"))
    store.close()
    return int(found or 0)


@contextmanager
def clients(url: str, count: int, said: bytes) -> Iterator[None]:
    """Connections that begin a request and do not end it."""
    where = urlsplit(url)
    with ExitStack() as stack:
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.settimeout(SECONDS)
            one.connect((where.hostname, where.port))
            one.sendall(said)
        yield


def test_p16_however_many_are_slow_to_send_the_next_one_is_served_meanwhile(
    running: Running,
) -> None:
    slow = (
        b"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + running.secret.encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
    )
    before = records(running.home)

    with clients(running.url, 2 * THREADS, slow):
        status = post(running, 1)

    assert status == 202
    assert records(running.home) == before + 1


def test_p16_descriptors_that_run_out_lose_nothing_and_come_back(running: Running) -> None:
    before = records(running.home)

    with clients(running.url, CLIENTS, b"GET /healthz HTTP/1.1\r\n"):
        during = post(running, 2, seconds=3)
    some, after = threading.Event(), 0
    for _ in range(SECONDS):
        if (after := post(running, 3)) == 202:
            break
        some.wait(1)

    assert during in (0, 202, 503)
    assert after == 202
    stored = records(running.home) - before
    assert stored == 2 or (stored == 1 and during != 202)


MEMORY = """
import resource, sys
from pathlib import Path
from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from fhirbridge.web.app import create_app
from tests.factories import a_short_visit
from tests.journey.installation import install
made = install(Path(sys.argv[1]), mappings=Path(sys.argv[2]))
with made.bridge() as bridge:
    secret = bridge.make_token(name="clinic", role=Role.INTEGRATOR, actor="test")
    client = create_app(bridge, most_bytes=10**6).test_client()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    def sent(record):
        body = codec.encode(record)
        return client.post("/api/v1/sessions", data=body, headers=headers).status_code
    first = sent(a_short_visit(1))
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + 2_000_000, hard))
    kept = []
    try:
        while True: kept.append(bytearray(1_000_000))
    except MemoryError:
        pass
    during = sent(a_short_visit(2))
    kept.clear()
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print(first, during, sent(a_short_visit(3)), bridge.status().records)
"""


def test_p16_memory_that_runs_out_is_a_503_or_done_whole_and_comes_back(
    tmp_path: Path, written_mappings: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "home"), str(written_mappings)],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr[-2000:]
    first, during, after, stored = map(int, done.stdout.split()[-4:])
    assert (first, after) == (202, 202)
    assert during in (202, 503)
    assert stored == 2 + (during == 202)


def test_p16_a_forked_process_has_connections_of_its_own(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    store.create()
    with store.begin() as tx:
        tx.execute(text("INSERT INTO meta VALUES ('x', 'parent')"))
        child = os.fork()  # in the middle of a transaction of ours
        if child == 0:
            try:
                with store.read() as own:
                    seen = own.scalar(text("SELECT value FROM meta WHERE name = 'x'"))
                os._exit(0 if seen is None else 1)  # what is not committed is nobody else's
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    with store.read() as tx:
        assert tx.scalar(text("SELECT value FROM meta WHERE name = 'x'")) == "parent"
    store.close()


def test_p20_a_log_that_nobody_reads_stops_nobody_and_what_it_lost_is_counted() -> None:
    reads, writes = os.pipe()
    with os.fdopen(writes, "w") as stream, os.fdopen(reads, "r") as reader:
        log.configure(stream)
        world = World(mapped=few_mappings)
        world.connect()

        def work() -> None:
            for number in range(3000):
                log.get().info("lane.fenced", destination=f"ehr-{number}")

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        worker.join(SECONDS)
        assert not worker.is_alive(), "it waits for its log"
        world.take(a_short_visit())

        os.set_blocking(reads, False)
        lines = reader.read().splitlines()
        log.get().info("lane.fenced", destination="last")
        lost, last = (codec.decode(one.encode()) for one in reader.read().splitlines())
        log.configure()

    assert len(lines) < 3000
    assert lost["event"] == "log.lost"
    assert lost["count"] >= 3000 - len(lines)
    assert last["destination"] == "last"
    assert set(world.states()) == {"delivered"}
    answered = [row.outcome for row in world.evidence("delivery.answered")]
    assert answered == ["ok", "ok"]  # of the evidence nothing was lost
