"""Real processes at one database: stopped, asleep, locked out, or dying of one record."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from fhirbridge import opening, settings
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.settings import Settings
from fhirbridge.store.engine import Store
from tests.factories import Record, a_short_visit
from tests.journey.installation import Installation, ShiftedClock
from tests.journey.kill_points import Boundaries, killed
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import Asked, EhrAtWork, Trouble
from tests.operate.test_stopping import running

SECONDS = 60
REFUSED = 3
A_LEASE_AND_MORE = timedelta(minutes=2)

HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


class Gate:
    """Holds back every request from the `first` on, before the EHR looks at it, until opened."""

    def __init__(self, ehr: EhrAtWork, *, first: int = 1) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        self._first, self._ehr = first, ehr
        ehr.before = self._hold

    def _hold(self, _asked: Asked) -> Trouble:
        if len(self._ehr.asked) >= self._first and not self.opened.is_set():
            self.reached.set()
            self.opened.wait(SECONDS)
        return None


def uses(process: "subprocess.Popen[bytes]", database: Path) -> None:
    """Wait until a process has the database open."""
    folder, wait = Path(f"/proc/{process.pid}/fd"), threading.Event()
    for _ in range(SECONDS * 20):
        assert process.poll() is None
        if any(one.resolve() == database for one in folder.iterdir()):
            return
        wait.wait(0.05)
    raise AssertionError("the process never opened the database")


def rows(home: Path, query: str) -> list[Any]:
    store = Store(f"sqlite:///{home / 'fhirbridge.db'}")
    with store.read() as tx:
        found = list(tx.execute(text(query)))
    store.close()
    return found


def everything(home: Path) -> list[Any]:
    """What a worker could change: deliveries, their resources, and the ledger."""
    return [
        rows(home, f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        for table in ("delivery", "delivery_item", "ledger")
    ]


def overtaking(chosen: Settings) -> Installation:
    """The same installation as another machine sees it, whose clock is two leases ahead."""
    return Installation(settings=chosen, clock=ShiftedClock(A_LEASE_AND_MORE))


# --- P3 ---------------------------------------------------------------------------------------


def two_workers(desk: Desk, ehr: EhrAtWork, *, patients: int) -> tuple[list[int], Counter[int]]:
    """Two processes deliver the same queue; return what each exited with, and versions seen."""
    desk.run("destination", "set", "ehr", "--concurrent", "4")
    desk.take(a_short_visit(patient="pt-first"))
    assert desk.run("sync", "run").status == 0
    desk.take(*(a_short_visit(patient=f"pt-{number}") for number in range(patients)))
    ehr.asked.clear()
    gate = Gate(ehr)
    with running(desk, "sync", "run") as first, running(desk, "sync", "run") as second:
        gate.reached.wait(SECONDS)
        for process in (first, second):
            uses(process, desk.home / "fhirbridge.db")
        gate.opened.set()
        ended = [first.wait(10 * SECONDS), second.wait(10 * SECONDS)]
    return ended, Counter(ehr.versions().values())


# --- P4, R6 -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Woken:
    """What became of a request that was on its way while its worker was stopped."""

    waiting: int  # after another worker took over
    changed: bool  # by the late request, or by the worker that sent it
    late_status: int
    versions: set[int]


def asleep(desk: Desk, ehr: EhrAtWork) -> Woken:
    """Stop a worker whose request is on its way; another takes over; then all of it arrives."""
    desk.take(a_short_visit(patient="pt-1"))
    answered = _statuses(ehr)
    gate = Gate(ehr, first=2)  # the patient's; what all share goes first
    with running(desk, "sync", "run") as sleeper:
        assert gate.reached.wait(SECONDS)
        os.kill(sleeper.pid, signal.SIGSTOP)
        ehr.before = lambda _asked: None
        with overtaking(settings.read()).bridge() as bridge:
            bridge.sync()
            waiting = bridge.status().waiting
        before, versions = everything(desk.home), ehr.versions()
        os.kill(sleeper.pid, signal.SIGCONT)
        gate.opened.set()  # the late request arrives now
        sleeper.wait(SECONDS)
    return Woken(
        waiting=len(waiting),
        changed=before != everything(desk.home) or versions != ehr.versions(),
        late_status=answered[-1],
        versions=set(ehr.versions().values()),
    )


def _statuses(ehr: EhrAtWork) -> list[int]:
    """Note what every request from now on is answered."""
    answered: list[int] = []
    serve = ehr.serve

    def noting(asked: Asked, headers: dict[str, str], raw: bytes) -> tuple[int, bytes, Any]:
        found = serve(asked, headers, raw)
        answered.append(found[0])
        return found

    ehr.serve = noting  # type: ignore[method-assign]
    return answered


# --- P9 ---------------------------------------------------------------------------------------


@contextmanager
def locked_by_another(database: Path) -> Iterator[None]:
    """Let another process hold the database for itself."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        try:
            yield
        finally:
            other.communicate()


# --- P12 --------------------------------------------------------------------------------------


def initialised_at_once(chosen: Settings, processes: int) -> list[str]:
    """Let processes make the same installation at the same time; say how each ended."""
    ends = at_once(lambda: opening.initialise(chosen), processes)
    return [{0: "made", REFUSED: "refused"}.get(end, f"broke: {end}") for end in ends]


def at_once(work: Callable[[], object], processes: int) -> list[int]:
    """Do the same in several processes that begin together; return their exit statuses."""
    reading, writing = os.pipe()
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            os.read(reading, 1)
            os._exit(_status_of(work))
        children.append(child)
    os.write(writing, b"x" * processes)
    ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(reading)
    os.close(writing)
    return ends


def _status_of(work: Callable[[], object]) -> int:
    try:
        work()
    except opening.AlreadyThereError:
        return REFUSED
    except BaseException:
        return 1
    return 0


def create_and_die(database: Path, place: int) -> None:
    """Make the schema; kill this process at its n-th statement or commit."""
    store = Store(f"sqlite:///{database}")
    boundaries = Boundaries(place)
    event.listen(store.engine, "before_cursor_execute", lambda *_: boundaries.reach("a statement"))
    event.listen(store.engine, "commit", lambda _c: boundaries.reach("before commit"))
    store.create()


def tables_of(database: Path) -> int:
    with sqlite3.connect(database) as one:
        (count,) = one.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(count)


# --- P18 --------------------------------------------------------------------------------------


class Deadly:
    """A way to an EHR on which one patient's resources kill the process that sends them."""

    def __init__(self, inner: Transport, patient: str) -> None:
        self._inner = inner
        self._patient = patient.encode()

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        if self._patient in (request.body or b""):
            os.kill(os.getpid(), signal.SIGKILL)
        return self._inner.send(request, deadline_seconds=deadline_seconds)


def dying_of(home: Installation, patient: str) -> int:
    """Start workers, each after the lease of the dead one, until one lives; say how many died."""
    for died in range(20):
        home.clock.ahead += A_LEASE_AND_MORE
        if not killed(partial(_work_deadly, home, patient)):
            return died
    raise AssertionError("each worker dies")


def _work_deadly(home: Installation, patient: str) -> None:
    with home.bridge() as bridge:
        ehr_for = bridge._parts.ehr_for

        def deadly(destination: Any) -> Any:
            ehr = ehr_for(destination)
            ehr._transport = Deadly(ehr._transport, patient)
            return ehr

        object.__setattr__(bridge._parts, "ehr_for", deadly)
        bridge.sync()


def visits(count: int) -> list[Record]:
    return [a_short_visit(patient=f"pt-{number}") for number in range(count)]
