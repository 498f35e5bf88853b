"""Two services over one database, killed at random while a clinic sends and they deliver."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, select

from fhirbridge.access.tokens import Role
from fhirbridge.audit.log import Action
from fhirbridge.bridge import Bridge
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.fhir import codec
from fhirbridge.store.tables import delivery, delivery_item, evidence
from tests.journey import processes
from tests.journey.busy_clinic import Acknowledged, Session, in_any_order, sessions
from tests.journey.installation import Installation, connect, install

HANDS = 16  # of both services together
SENDERS = 4
AFTER_A_LEASE = timedelta(minutes=5)
CHECKER = Path(__file__).parent / "checker" / "check.py"
OPEN = ("pending", "sending", "unknown")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How hard the storm is."""

    seed: str
    sessions: int
    kills: int
    calm_seconds: tuple[float, float] = (1.0, 4.0)  # between two kills
    patience_seconds: int = 0  # how long the services may take to end what is left


@dataclass(kw_only=True)
class Told:
    """What was counted: by the clinic, in the database, and by the checker in the EHR."""

    posts: int = 0
    kills: int = 0
    unanswered: int = 0  # of them, as a service died
    turned_away: int = 0  # of them, with 503
    left: int = 0  # deliveries for who comes after the storm
    busy: int = 0  # times that a service said the database was locked
    waiting: list[str] = field(default_factory=list)  # why
    sent_again: dict[str, int] = field(default_factory=dict)  # requests beyond the first, by lane
    chart: dict[str, Any] = field(default_factory=dict)


class Service:
    """One `fhirbridge serve`, with all its processes in a group that can be killed at once."""

    def __init__(self, folder: Path, number: int, env: dict[str, str]) -> None:
        self._ready = folder / f"service-{number}.address"
        self.log = folder / f"service-{number}.log"
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self._ready.read_text().strip() if self._ready.exists() else ""

    def start(self) -> None:
        self._ready.unlink(missing_ok=True)
        words = ["serve", "--bind", "127.0.0.1:0", "--ready-file", str(self._ready)]
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [*processes.PROGRAM, *words],
                env=self._env,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def end(self, how: signal.Signals) -> None:
        """End every process of it."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)
        self._process.wait(processes.SECONDS)
        self._ready.unlink(missing_ok=True)


class Clinic:
    """Sends each version until it is taken in; those of a patient one after the other."""

    def __init__(self, services: Sequence[Service], token: str, told: Told) -> None:
        self._services = services
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._told = told
        self._lock = threading.Lock()
        self.acknowledged = Acknowledged()
        self.stopped = threading.Event()

    def send_all(self, posts: Sequence[tuple[Session, int]]) -> None:
        """Send from several threads; each patient belongs to one of them."""
        names = sorted({session.patient for session, _ in posts})
        shares = [names[n::SENDERS] for n in range(SENDERS)]
        with ThreadPoolExecutor(SENDERS) as pool:
            for done in [
                pool.submit(self._send_some, [one for one in posts if one[0].patient in share])
                for share in shares
            ]:
                done.result()

    def _send_some(self, posts: Sequence[tuple[Session, int]]) -> None:
        for session, version in posts:
            self._send(codec.encode(session.versions[version]))
            with self._lock:
                self.acknowledged.add(session, version)

    def _send(self, raw: bytes) -> None:
        for attempt in range(10_000):
            if self.stopped.is_set():
                raise AssertionError("the storm broke off")
            url = self._services[(attempt + len(raw)) % len(self._services)].url
            status = self._status(url, raw) if url else 0
            if status == 202:
                return
            assert status in (0, 503), status
            with self._lock:
                self._told.turned_away += status == 503
            self.stopped.wait(0.1)
        raise AssertionError("no service took a record in")

    def _status(self, url: str, raw: bytes) -> int:
        with self._lock:
            self._told.posts += 1
        try:
            address = f"{url}/api/v1/sessions"
            return requests.post(address, data=raw, headers=self._headers, timeout=60).status_code
        except requests.RequestException:
            with self._lock:
                self._told.unanswered += 1
            return 0


def run(folder: Path, base_url: str, plan: Plan) -> Told:
    """Let the clinic send and the services deliver while they are killed; check the EHR."""
    told = Told()
    chance = random.Random(plan.seed)
    home = install(folder / "home")
    with home.bridge() as bridge:
        connect(bridge, base_url)
        bridge.limit_destination("ehr", LimitChange(concurrent=HANDS), actor="test")
        token = bridge.make_token(name="clinic", role=Role.INTEGRATOR, actor="test")
    with services(folder, home) as running:
        clinic = Clinic(running, token, told)
        posts = in_any_order(sessions(plan.sessions, plan.seed), chance)
        sending = threading.Thread(target=clinic.send_all, args=(posts,))
        sending.start()
        try:
            _kill(running, clinic, plan, chance, told)
            sending.join()
        finally:
            clinic.stopped.set()
        assert sum(map(len, clinic.acknowledged.by_patient.values())) == len(posts)
        _wait(home, plan.patience_seconds)
    told.busy = sum(one.log.read_text().count("E602") for one in running)
    _finish(home, told)
    told.chart = checked(folder, base_url, clinic.acknowledged)
    return told


def check(told: Told, plan: Plan) -> None:
    """Refuse anything lost, twice, out of order, or not through."""
    assert told.chart["problems"] == []
    assert told.chart["sessions"] == plan.sessions
    assert told.waiting == []
    assert (told.busy, told.turned_away) == (0, 0)
    # A kill meets one request of a lane at most.
    assert all(count <= told.kills for count in told.sent_again.values())


def told(what: Told) -> str:
    """Say it in one line."""
    chart = what.chart
    return (
        f"two services, {HANDS} hands, killed {what.kills} times: {chart['sessions']} sessions of "
        f"{chart['patients']} patients in {what.posts} posts ({what.unanswered} unanswered) are "
        f"{chart['resources']} resources in {chart['versions']} versions at HAPI; {chart['lost']} "
        f"lost, {chart['twice']} twice, {chart['out of order']} out of order; "
        f"{sum(what.sent_again.values())} writes sent again, "
        f"{max(what.sent_again.values(), default=0)} in one lane at most"
    )


@contextmanager
def services(folder: Path, home: Installation) -> Iterator[list[Service]]:
    env = processes.environment(home=str(home.settings.home), site=home.settings.site)
    running = [Service(folder, number, env) for number in (1, 2)]
    for one in running:
        one.start()
    try:
        yield running
    finally:
        for one in running:
            one.end(signal.SIGTERM)


def _kill(
    running: Sequence[Service], clinic: Clinic, plan: Plan, chance: random.Random, told: Told
) -> None:
    for _ in range(plan.kills):
        clinic.stopped.wait(chance.uniform(*plan.calm_seconds))
        one = chance.choice(running)
        for _ in range(processes.SECONDS * 10):
            if one.url or clinic.stopped.is_set():
                break
            clinic.stopped.wait(0.1)
        one.end(signal.SIGKILL)  # while it serves, not while it starts
        one.start()
        told.kills += 1


def _wait(home: Installation, seconds: int) -> None:
    """Let the services end what is left, for so long."""
    with home.bridge() as bridge:
        for _ in range(seconds):
            if not open_deliveries(bridge):
                return
            threading.Event().wait(1)


def _finish(home: Installation, told: Told) -> None:
    """Deliver what the storm left, as whoever comes after the leases of the dead have ended."""
    home.clock.ahead = AFTER_A_LEASE
    with home.bridge() as bridge:
        told.left = open_deliveries(bridge)
        bridge.sync()
        told.waiting = [f"{one['state']}: {one['reason']}" for one in bridge.status().waiting]
        told.sent_again = sent_again(bridge)


def sent_again(bridge: Bridge) -> dict[str, int]:
    """Count, by lane, the writes that carried only what an earlier one had carried."""
    chosen = (
        select(delivery.c.lane, delivery.c.id, evidence.c.detail)
        .join(delivery, delivery.c.id == evidence.c.delivery_id)
        .where(evidence.c.action == Action.DELIVERY_STARTED)
    )
    items = select(delivery_item.c.delivery_id, func.count()).group_by(delivery_item.c.delivery_id)
    with bridge._store.read() as tx:
        left = {row[0]: row[1] for row in tx.execute(items)}
        rows = tx.execute(chosen.order_by(evidence.c.at)).all()
    found: dict[str, int] = {}
    for row in rows:
        started = codec.decode(row.detail.encode())
        if started["step"] == "read-back":
            continue
        if left[row.id] <= 0:
            found[row.lane] = found.get(row.lane, 0) + 1
        left[row.id] -= started["entries"]
    return found


def open_deliveries(bridge: Bridge) -> int:
    (one,) = bridge.status().destinations
    return sum(count for state, count in one["deliveries"].items() if state in OPEN)


def checked(folder: Path, base_url: str, heard: Acknowledged) -> dict[str, Any]:
    """Run the checker, which cannot import anything of ours."""
    sent = folder / "sent.json"
    sent.write_bytes(codec.encode(heard.expected()))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(CHECKER), base_url, str(sent)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    found = codec.decode(done.stdout.encode())
    assert isinstance(found, dict)
    return found
