"""How quick, how many, how far apart: measured by the clock of the machine, for `make prove`."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from statistics import quantiles

from fhirbridge.clock import SystemClock
from fhirbridge.deliver.loop import Loop
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.fhir import codec
from fhirbridge.intake.accept import Receipt
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.overview import lag
from fhirbridge.overview.lag import Lag
from fhirbridge.store.engine import StoreBusyError
from tests.deliver.test_breaker import run_for
from tests.deliver.test_bundle_size import limit, many_pulses
from tests.factories import Record, World, a_short_visit, a_visit
from tests.fakes import Fault, Outcome, SandboxTransport
from tests.mapping_sets import few_mappings

CLOCK = SystemClock()
PATIENCE = 120.0


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


# --- R12: an EHR that is down -----------------------------------------------------------------


def an_hour_down(patients: int = 30) -> tuple[int, int]:
    """Return how many requests an hour cost, and how many probes went before all went again."""
    world = World(mapped=few_mappings)
    world.connect()
    world.take(a_short_visit(patient="pt-0"))
    for number in range(1, patients + 1):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.ehr.transport.sent.clear()
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    run_for(world, timedelta(hours=1))
    down = len(world.ehr.transport.sent)
    waits = []
    world.ehr.transport.choose = lambda _request: None
    world.ehr.transport.before_serving = lambda _request: waits.append(
        world.bridge.status().destinations[0]["waits_for"]
    )
    world.settle()
    assert set(world.states()) == {"delivered"}
    return down, sum(bool(one) for one in waits)


# --- R16, R19: lag ----------------------------------------------------------------------------


class Arrived:
    """A way to an EHR that says when a patient's resources got there, and may hang first."""

    def __init__(self, inner: SandboxTransport, *, hang_seconds: float = 0.0) -> None:
        self._inner = inner
        self._hang = hang_seconds
        self._lock = threading.Lock()
        self.closed = threading.Event()
        self.waited_for = b"no-one"
        self.there = threading.Event()

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        if self._hang:
            self.closed.wait(self._hang)
        with self._lock:
            outcome = self._inner.send(request, deadline_seconds=deadline_seconds)
        if self.waited_for in (request.body or b""):
            self.there.set()
        return outcome


def lags(world: World, name: str, way: Arrived, *, samples: int, first: int = 0) -> list[float]:
    """Accept one live record after the other; return the seconds until each is at the EHR.

    A record that is answered 503 is sent again at once, as a clinic's system does: that counts.
    """
    found = []
    for number in range(first, first + samples):
        record = a_short_visit(patient=f"pt-live-{number}")
        way.there.clear()
        began = CLOCK.monotonic()
        (patient,) = world.of_mapping(_accepted(world, record), "patient")
        way.waited_for = patient.removeprefix("Patient/").encode()
        if world.ehrs[name].history(patient):
            way.there.set()
        assert way.there.wait(PATIENCE), number
        found.append(CLOCK.monotonic() - began)
    return found


def _accepted(world: World, record: Record) -> Receipt:
    while True:
        with suppress(StoreBusyError):
            return world.accept(record)


@contextmanager
def looping(world: World) -> Iterator[None]:
    loop = Loop(world.rooms)
    loop.start()
    try:
        yield
    finally:
        loop.stop(10)


def beside_a_broken_one(folder: Path, *, rounds: int, samples: int) -> tuple[float, float]:
    """Return the p95 of lags at one EHR beside one that works, and beside one that is down.

    Both are measured in one run, a few records of each in turn.
    """
    sides = [_two_ehrs(folder / "well.db"), _two_ehrs(folder / "broken.db")]
    broken = sides[1][0]
    broken.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for (world, way), seen in zip(sides, found, strict=True):
            with looping(world):
                seen.extend(lags(world, "other", way, samples=samples, first=number * samples))
    assert {row.state for row in broken.rows() if row.destination == "ehr"} >= {"pending"}
    return p95(found[0]), p95(found[1])


def _two_ehrs(path: Path) -> tuple[World, Arrived]:
    """A bridge on the machine's own clock with `ehr` and `other`, and the way to the other."""
    world = World(url=f"sqlite:///{path}", mapped=few_mappings)
    for one in ("ehr", "other"):
        world.connect(one)
    world.take(a_short_visit(patient="pt-0"))
    world.clock = CLOCK  # type: ignore[assignment]
    world.bridge = world._open()
    way = Arrived(world.ehrs["other"].transport)
    world.ehrs["other"].transport = way  # type: ignore[assignment]
    return world, way


def beside_a_slow_one(folder: Path, *, slow: bool, samples: int) -> list[float]:
    """Lags at one EHR while another takes 30 s for each answer, or is quick."""
    name = "slow" if slow else "quick"
    world = World(url=f"sqlite:///{folder / name}.db", mapped=few_mappings)
    ways = {}
    for one in ("ehr", "other"):
        world.connect(one)
    world.take(a_short_visit(patient="pt-0"))
    for one in ("ehr", "other"):
        hang = 30.0 if slow and one == "ehr" else 0.0
        ways[one] = Arrived(world.ehrs[one].transport, hang_seconds=hang)
        world.ehrs[one].transport = ways[one]  # type: ignore[assignment]
    with looping(world):
        found = lags(world, "other", ways["other"], samples=samples)
        ways["ehr"].closed.set()
    return found


def ten_clinics(folder: Path, *, sessions: int, apart: float, seed: int = 34) -> Lag:
    """Take whole visits in at random times, `apart` seconds in the mean; return the lag told.

    Ten clinics of 20 sessions a day send one each 28 s at their peak.
    """
    world = World(url=f"sqlite:///{folder / 'test.db'}")
    world.connect()
    world.clock = CLOCK  # type: ignore[assignment]
    world.bridge = world._open()
    chance, first = random.Random(seed), a_visit(1)
    with looping(world):
        for number in range(sessions):
            CLOCK.sleep(chance.expovariate(1 / apart))
            patient = {**first["patient"], "id": f"pt-{number}"}
            _accepted(world, {**first, "session_id": f"ses-{number}", "patient": patient})
        for _ in range(int(PATIENCE)):
            if set(world.states()) == {"delivered"}:
                break
            CLOCK.sleep(1)
    assert set(world.states()) == {"delivered"}
    with world.store.read() as tx:
        return lag.of_destination(tx, "ehr", CLOCK.now())


def among_backfills(folder: Path, pile_up: Callable[[World], None], *, samples: int) -> list[float]:
    """Lags of live records while a hundred thousand backfills are queued."""
    world = World(url=f"sqlite:///{folder / 'test.db'}", mapped=few_mappings)
    world.connect()
    world.take(a_short_visit(patient="pt-0"))
    pile_up(world)
    way = Arrived(world.ehr.transport)
    world.ehr.transport = way  # type: ignore[assignment]
    with looping(world):
        return lags(world, "ehr", way, samples=samples)


# --- R17 --------------------------------------------------------------------------------------


def too_large(most: int = 20) -> tuple[int, int]:
    """Return how many requests were refused as too large, and the size that it settled at."""
    world = World(mapped=few_mappings)
    world.connect()
    world.accept(many_pulses(98))
    for _ in world.drain(world.shared_lane()):
        pass
    asked = limit(world, entries=most)
    world.settle()
    assert set(world.states()) == {"delivered"}
    good = [many for many in asked if many <= most]
    return len(asked) - len(good), max(good)


# --- R18 --------------------------------------------------------------------------------------


def pause_takes(folder: Path, *, patients: int = 40) -> tuple[float, int]:
    """Pause while deliveries go; return the seconds to the last request, and those after them."""
    world = World(url=f"sqlite:///{folder / 'test.db'}", mapped=few_mappings)
    world.connect()
    world.bridge.limit_destination("ehr", LimitChange(rps=20), actor="test")
    world.clock = CLOCK  # type: ignore[assignment]
    world.bridge = world._open()
    for number in range(patients):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    times: list[float] = []
    world.ehr.transport.before_serving = lambda _request: times.append(CLOCK.monotonic())
    some = threading.Event()
    with looping(world):
        while len(times) < 5:
            some.wait(0.02)
        world.bridge.pause(Stopped("ehr", ANY), actor="test")
        paused = CLOCK.monotonic()
        some.wait(6)
        last = times[-1]
        late = sum(one > paused + 5 for one in times)
    assert 0 < len(times) < patients
    return max(last - paused, 0.0), late


# --- R35 --------------------------------------------------------------------------------------


class Stub:
    """An EHR that takes all and answers within a millisecond."""

    def send(self, request: Request, *, deadline_seconds: float) -> Response:
        assert deadline_seconds > 0
        entries = codec.decode(request.body or b"{}").get("entry", [])
        CLOCK.sleep(0.001)
        answers = [
            {
                "response": {
                    "status": "201 Created",
                    "location": f"{entry['request']['url']}/_history/1",
                    "etag": 'W/"1"',
                }
            }
            for entry in entries
        ]
        body = {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}
        return Response(status=200, headers={}, body=codec.encode(body))


def throughput(folder: Path, *, sessions: int) -> tuple[float, float]:
    """Return resource versions by one worker on a file, per second of the processor's time.

    Other work on the machine does not count. The second is a ratio: the processor's time of
    delivering a session, in times of taking it in.
    """
    world = World(url=f"sqlite:///{folder / 'test.db'}")
    world.connect()
    world.ehr.transport = Stub()  # type: ignore[assignment]
    first = a_visit(1)
    began = time.process_time()
    for number in range(sessions):
        patient = {**first["patient"], "id": f"pt-{number}"}
        world.accept({**first, "session_id": f"ses-{number}", "patient": patient})
    taking = time.process_time() - began
    began = time.process_time()
    world.sync()
    delivering = time.process_time() - began
    assert set(world.states()) == {"delivered"}
    return len(world.ledger()) / delivering, delivering / taking
