"""What a test does to an engine: databases that go away, workers that die, EHRs that are down."""

import os
import signal
from collections import Counter
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import text

from fhirbridge.deliver import run
from fhirbridge.deliver.ending import Job
from tests.engine.site import SECONDS, Site
from tests.factories import a_short_visit, amended, rate
from tests.fakes import Fault
from tests.numbers.two_processes import locked_by_another
from tests.postgres.server import Server

AN_HOUR = timedelta(hours=1)


def restart(site: Site, request: pytest.FixtureRequest) -> None:
    """Let the database go away and come back while a loop works."""
    if site.way.is_jobs:
        server: Server = request.getfixturevalue("postgres")
        server.restart()
    else:
        assert site.world.store.path is not None
        with locked_by_another(Path(site.world.store.path)):
            Event().wait(0.5)


def dies_of(site: Site, delivery_id: str) -> None:
    """Deliver in a process of its own, which one delivery kills."""

    def work() -> None:
        start = run._Lane.start

        def die(lane: run._Lane) -> tuple[int, Job | None]:
            if lane.chosen[0].id == delivery_id and lane.chosen[0].runs < run.MOST_RUNS:
                os.kill(os.getpid(), signal.SIGKILL)
            return start(lane)

        run._Lane.start = die  # type: ignore[assignment, method-assign]  # of that process alone
        with site.working():
            Event().wait(SECONDS)

    assert site.killed(work)


def leave_a_stalled_job(site: Site) -> None:
    """Leave what a worker leaves that took a job and died."""
    with site.world.store.begin() as tx:
        site.way.real.wake(tx, "ehr", "nobody")
        worker = tx.scalar(text("SELECT worker_id FROM procrastinate_register_worker_v1()"))
        tx.execute(text("SELECT procrastinate_fetch_job_v2(NULL, :worker)"), {"worker": worker})
        tx.execute(
            text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
        )
    assert [status for status, _ in site.jobs()] == ["doing"]


def backlog(site: Site, *, patients: int, patience: float = SECONDS) -> None:
    """Take much in while one of two EHRs is down; then it comes back, and all is in order."""
    site.connect("other")
    down = site.world.ehr.transport
    down.choose = lambda _request: Fault.NOT_SENT
    visits = [a_short_visit(patient=f"pt-{number}") for number in range(patients)]
    with site.working():
        site.accept(*visits, *(amended(one, rate(90)) for one in visits))
        site.until(lambda: _delivered(site)["other"] == 2 * patients + 1, patience=patience)
        assert _delivered(site)["ehr"] == 0
        asked = len(down.sent)
        down.choose = lambda _request: None
        site.world.clock.advance(AN_HOUR)
        site.until_delivered(patience=patience)

    assert asked <= 30  # R12: it was left alone
    for name in ("ehr", "other"):
        far = site.world.ehrs[name]
        pulses = [f"Observation/{one['id']}" for one in far.all_of("Observation")]
        shown = {tuple(v["valueQuantity"]["value"] for v in far.history(one)) for one in pulses}
        assert shown == {(72, 90)}
        assert len(pulses) == patients == site.patients(name)


def _delivered(site: Site) -> Counter[str]:
    return Counter(row.destination for row in site.world.rows("delivered"))
