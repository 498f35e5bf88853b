"""Workers that are processes of their own, one PostgreSQL: each record once and in order."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

import pytest

from fhirbridge.fhir import codec
from fhirbridge.settings import Settings
from tests.factories import Record, a_short_visit, amended, rate
from tests.journey import processes
from tests.journey.installation import Installation, ShiftedClock, connect, install
from tests.operate.ehr_at_work import EhrAtWork
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

PATIENTS = 6
SECONDS = 120


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    made = postgres.database(made=False)
    yield made
    postgres.drop(made)


def environment(chosen: Settings) -> dict[str, str]:
    return processes.environment(
        home=str(chosen.home),
        site=chosen.site,
        tenant=chosen.tenant,
        database_url=chosen.database_url,
    )


@contextmanager
def workers(chosen: Settings, count: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
    with ExitStack() as stack, (chosen.home / "said").open("ab") as said:
        command = [*processes.PROGRAM, "worker"]
        started = [
            stack.enter_context(
                subprocess.Popen(command, env=environment(chosen), stdout=said, stderr=said)
            )
            for _ in range(count)
        ]
        try:
            yield started
        finally:
            for one in started:
                one.terminate()


def take(installation: Installation, *records: Record) -> None:
    with installation.bridge() as bridge:
        for one in records:
            bridge.accept(codec.encode(one), actor="test")


def wait_until_delivered(installation: Installation, count: int) -> None:
    until = time.monotonic() + SECONDS  # noqa: TID251  real processes
    with installation.bridge() as bridge:
        while time.monotonic() < until:  # noqa: TID251
            (one,) = bridge.status().destinations
            if one["deliveries"].get("delivered", 0) >= count:
                return
            Event().wait(0.2)
    raise AssertionError((installation.settings.home / "said").read_text())


def test_p03_three_workers_deliver_each_record_once_and_in_order_and_end_when_they_are_told(
    tmp_path: Path, url: str, written_mappings: Path
) -> None:
    made = install(tmp_path / "home", mappings=written_mappings, database_url=url)
    ours = Installation(settings=made.settings, clock=ShiftedClock())
    with EhrAtWork() as ehr:
        with ours.bridge() as bridge:
            connect(bridge, ehr.url)
        take(ours, a_short_visit(patient="pt-first"))
        with workers(made.settings, 3) as started:
            wait_until_delivered(ours, 2)  # what all share, and the patient's
            visits = [a_short_visit(patient=f"pt-{number}") for number in range(PATIENTS)]
            take(ours, *visits)
            take(ours, *(amended(one, rate(91)) for one in visits))
            wait_until_delivered(ours, 2 + 2 * PATIENTS)
        versions = Counter(ehr.versions().values())
        pulses = [one for asked in ehr.writes for one in asked.of("Observation")]

    assert [one.returncode for one in started] == [0, 0, 0]
    assert set(versions) == {1, 2}
    assert versions[2] >= PATIENTS
    assert len(pulses) == 1 + 2 * PATIENTS


def test_r37_the_command_moves_an_installation_and_the_next_sync_writes_nothing(
    tmp_path: Path, url: str, written_mappings: Path
) -> None:
    made = install(tmp_path / "home", mappings=written_mappings)
    with EhrAtWork() as ehr:
        with made.bridge() as bridge:
            connect(bridge, ehr.url)
        take(made, *(a_short_visit(patient=f"pt-{number}") for number in range(3)))
        env = environment(made.settings)
        assert processes.fhirbridge("sync", "run", env=env).returncode == 0
        before = len(ehr.writes)

        moved = processes.fhirbridge("db", "migrate-to", url, "--json", env=env)
        old = processes.fhirbridge("sync", "status", env=env)
        there = {**env, "FHIRBRIDGE_DATABASE_URL": url}
        upgraded = processes.fhirbridge("db", "upgrade", env=there)
        synced = processes.fhirbridge("sync", "run", env=there)
        looked = processes.fhirbridge("doctor", env=there)

    assert moved.returncode == 0, moved.stderr
    assert codec.decode(moved.stdout.encode())["rows"]["record"] == 3
    assert (old.returncode, "was moved" in old.stderr) == (1, True)
    assert "already" in upgraded.stderr
    assert (synced.returncode, len(ehr.writes)) == (0, before)
    assert "PostgreSQL" in looked.stdout
