"""Three workers on three hosts: one is killed, one sleeps beyond its lease, and all arrives."""

import shutil
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select

from fhirbridge import database
from fhirbridge.bridge import Bridge
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.fhir import codec
from fhirbridge.store.errors import StoreBusyError
from fhirbridge.store.tables import ledger
from tests.engine.hosts import Host, Network, network
from tests.journey import processes, storm
from tests.journey.busy_clinic import VISITS, Acknowledged, Session, sessions
from tests.journey.installation import Installation, ShiftedClock, connect, install
from tests.operate.ehr_at_work import EhrAtWork
from tests.postgres.server import Server

HOSTS = 3
MOST_BUSY = 5
PLACES = 6  # lanes at the same time, of all hosts together


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is sent, and how long a lease of the workers is."""

    sessions: int
    lease_seconds: float
    patience_seconds: int


@dataclass(kw_only=True)
class Told:
    """What was seen."""

    apart: bool  # each host in a network of its own
    by_host: list[int] = field(default_factory=list)  # hosts that ended by themselves, their status
    waiting: list[str] = field(default_factory=list)
    chart: dict[str, Any] = field(default_factory=dict)
    same: bool = False  # as after one process
    busy: int = 0  # records that were sent again, since a host held the database in its sleep
    asleep_at: int = 0  # how many deliveries were through as one was killed and one fell asleep
    deliveries: int = 0


def run(folder: Path, postgres: Server, base_url: str, plan: Plan) -> Told:
    """Deliver to this EHR, which is on this machine, by three hosts; compare with one process."""
    posts = one_visit_after_the_other(sessions(plan.sessions, "hosts"))
    url = postgres.database(made=False)
    alone = install(folder / "one")
    ours = _twin(alone, folder / "home", url)
    with ExitStack() as stack:
        apart = stack.enter_context(network(HOSTS, [_port(base_url), postgres.port]))
        told = Told(apart=apart.is_apart)
        with ours.bridge() as bridge:
            connect(bridge, base_url)
            bridge.limit_destination("ehr", LimitChange(concurrent=PLACES), actor="test")
        env = processes.environment(
            home=str(ours.settings.home),
            site=ours.settings.site,
            tenant=ours.settings.tenant,
            database_url=url,
        )
        hosts = [
            Host(apart.within(n), env, folder / f"host-{n}.log", plan.lease_seconds)
            for n in range(HOSTS)
        ]
        for host in hosts:
            stack.callback(host.end)
        heard = _deliver(ours, posts, hosts, apart, plan=plan, told=told)
        told.by_host = [hosts[1].end(), hosts[2].end()]
    told.chart = storm.checked(folder, base_url, heard)
    told.same = _holds(ours) == _by_one_process(alone, posts)
    postgres.drop(url)
    return told


def one_visit_after_the_other(made: Sequence[Session]) -> list[tuple[Session, int]]:
    """Return the first visit of every patient with its amendments, then the second of each."""
    in_turn = [one for visit in range(VISITS) for one in made[visit::VISITS]]
    return [(one, version) for one in in_turn for version in range(len(one.versions))]


def _deliver(
    ours: Installation,
    posts: Sequence[tuple[Session, int]],
    hosts: Sequence[Host],
    apart: Network,
    *,
    plan: Plan,
    told: Told,
) -> Acknowledged:
    """Take in while the hosts deliver; kill one in the middle, and let one sleep."""
    heard = Acknowledged()
    with ours.bridge() as bridge:

        def take_in() -> None:
            for session, version in posts:
                told.busy += accept(bridge, codec.encode(session.versions[version]))
                heard.add(session, version)

        taking = Thread(target=take_in)
        taking.start()
        _until(bridge, lambda done: done >= len(posts) // 4, plan.patience_seconds, hosts)
        hosts[0].send(signal.SIGKILL)
        apart.cut(0)
        hosts[1].send(signal.SIGSTOP)
        told.asleep_at = _delivered(bridge)
        Event().wait(1.3 * plan.lease_seconds)
        hosts[1].send(signal.SIGCONT)
        taking.join()
        _until(bridge, lambda _: not storm.open_deliveries(bridge), plan.patience_seconds, hosts)
        told.deliveries = _delivered(bridge)
        told.waiting = [f"{one['state']}: {one['reason']}" for one in bridge.status().waiting]
    return heard


def accept(bridge: Bridge, raw: bytes) -> int:
    """Send a record as clinics do: what is answered 503 is sent again. Return how often."""
    for again in range(MOST_BUSY):
        with suppress(StoreBusyError):
            bridge.accept(raw, actor="test")
            return again
    raise AssertionError("the database is busy all the time")


def _delivered(bridge: Bridge) -> int:
    (one,) = bridge.status().destinations
    return int(one["deliveries"].get("delivered", 0))


def _until(bridge: Bridge, enough: Any, seconds: int, hosts: Sequence[Host]) -> None:
    for _ in range(seconds * 2):
        if enough(_delivered(bridge)):
            return
        Event().wait(0.5)
    raise AssertionError([host.log.read_text()[-2000:] for host in hosts])


def _holds(ours: Installation) -> dict[tuple[str, str], str]:
    """What the EHR is known to hold, by content; a Provenance is named by its own delivery."""
    with ours.bridge() as bridge, bridge._store.read() as tx:
        rows = tx.execute(select(ledger.c.type, ledger.c.resource_id, ledger.c.digest))
        return {(row.type, row.resource_id): row.digest for row in rows if row.type != "Provenance"}


def _by_one_process(
    alone: Installation, posts: Sequence[tuple[Session, int]]
) -> dict[tuple[str, str], str]:
    """Do the same in one process, on SQLite; return what its EHR holds."""
    with EhrAtWork() as ehr, alone.bridge() as bridge:
        connect(bridge, ehr.url)
        for session, version in posts:
            bridge.accept(codec.encode(session.versions[version]), actor="test")
        bridge.sync()
        assert not storm.open_deliveries(bridge)
    return _holds(alone)


def _twin(alone: Installation, home: Path, url: str) -> Installation:
    """Return an installation with the same keys that is on PostgreSQL, as a move makes it."""
    shutil.copytree(alone.settings.home, home)
    chosen = replace(
        alone.settings,
        home=home,
        database_url=f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
    )
    database.move(chosen, url)
    return Installation(settings=replace(chosen, database_url=url), clock=ShiftedClock())


def _port(base_url: str) -> int:
    port = urlsplit(base_url).port
    assert port is not None
    return port


def check(told: Told, plan: Plan) -> None:
    """Refuse anything lost, twice, out of order, or other than after one process."""
    assert told.chart["problems"] == []
    assert told.chart["sessions"] == plan.sessions
    assert told.waiting == []
    assert told.same
    assert told.asleep_at < told.deliveries  # it was in the middle
    assert told.by_host == [0, 0]


def told(what: Told) -> str:
    """Say it in one line."""
    chart = what.chart
    where = (
        "in networks of their own" if what.apart else "side by side (no network namespaces here)"
    )
    return (
        f"three hosts {where}, one killed and one asleep beyond its lease after "
        f"{what.asleep_at} of {what.deliveries} deliveries: {chart['sessions']} sessions of "
        f"{chart['patients']} patients are {chart['resources']} resources in "
        f"{chart['versions']} versions; {chart['lost']} lost, {chart['twice']} twice, "
        f"{chart['out of order']} out of order; the same as after one process; "
        f"{what.busy} records were answered busy and sent again"
    )
