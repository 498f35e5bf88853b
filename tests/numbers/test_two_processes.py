"""P3, P4, P9, P12, P18, R6, R39: what real processes at one database do to each other."""

import signal
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from fhirbridge import opening, settings
from fhirbridge.outbox.states import POISON
from fhirbridge.store.engine import Store, StoreBusyError
from tests.factories import World, a_short_visit
from tests.journey.installation import Installation, ShiftedClock
from tests.journey.kill_points import killed
from tests.mapping_sets import few_mappings
from tests.numbers import two_processes
from tests.numbers.two_processes import SECONDS, Gate, asleep, locked_by_another, two_workers
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork
from tests.operate.test_stopping import running

pytestmark = pytest.mark.slow  # processes


def test_p03_two_processes_deliver_each_record_once(desk: Desk, ehr: EhrAtWork) -> None:
    ended, versions = two_workers(desk, ehr, patients=8)

    assert set(ended) <= {0, 3}  # 3: it ended while the other still had something under way
    assert set(versions) == {1}
    assert desk.run("sync", "run").status == 0
    assert len(ehr.history("Patient")) == 1 + 8


def test_r06_p04_what_a_worker_that_slept_two_leases_does_late_changes_nothing(
    desk: Desk, ehr: EhrAtWork
) -> None:
    found = asleep(desk, ehr)

    assert (found.waiting, found.changed) == (0, False)
    assert found.late_status in (409, 412)
    assert found.versions == {1}


def test_p09_a_database_that_another_process_keeps_for_itself_loses_nothing(
    tmp_path: Path,
) -> None:
    database = tmp_path / "test.db"
    world = World(url=f"sqlite:///{database}", mapped=few_mappings)
    world.connect()
    world.accept(a_short_visit())
    world.store.close()
    event.listen(world.store.engine, "connect", _impatient)
    with locked_by_another(database):
        with pytest.raises(StoreBusyError) as refused:
            world.accept(a_short_visit(patient="pt-2"))
        with pytest.raises(StoreBusyError):
            world.sync()
    assert refused.value.http_status == 503
    assert world.ehr.transport.sent == []

    world.accept(a_short_visit(patient="pt-2"))
    world.settle()

    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of("Patient")) == 2


def _impatient(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA busy_timeout=50")


@pytest.fixture
def nowhere(tmp_path: Path, installed: Installation) -> settings.Settings:
    """Settings of an installation that is still to be made."""
    home = tmp_path / "home"
    return replace(
        installed.settings,
        home=home,
        database_url=f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
        evidence_key_file=home / "evidence.key",
    )


def test_p12_of_two_that_make_the_same_database_one_does(nowhere: settings.Settings) -> None:
    ends = Counter(two_processes.initialised_at_once(nowhere, 3))

    assert ends == {"made": 1, "refused": 2}
    opening.open_bridge(nowhere).close()


def test_p12_two_that_make_the_schema_at_once_make_one(tmp_path: Path) -> None:
    ends = two_processes.at_once(lambda: Store(f"sqlite:///{tmp_path / 'test.db'}").create(), 4)

    store = Store(f"sqlite:///{tmp_path / 'test.db'}")
    store.check()
    store.close()
    assert ends == [0, 0, 0, 0]


def test_p12_a_schema_whose_maker_was_killed_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    found = set()
    for place in (1, 2, 20, 40, 60, 80, 1000):
        database = tmp_path / f"at-{place}.db"
        killed(lambda: two_processes.create_and_die(database, place))  # noqa: B023  run at once
        found.add(two_processes.tables_of(database))
        again = Store(f"sqlite:///{database}")
        again.create()
        again.check()
        again.close()

    assert len(found) == 2
    assert min(found) == 0


def test_p17_r39_a_service_that_is_ended_while_the_ehr_is_slow_frees_its_lane(
    desk: Desk, ehr: EhrAtWork
) -> None:
    desk.take(a_short_visit())
    gate = Gate(ehr, first=2)
    with running(desk, "serve", "--bind", "127.0.0.1:0") as service:
        assert gate.reached.wait(SECONDS)
        service.send_signal(signal.SIGTERM)
        gate.opened.set()
        status = service.wait(SECONDS)

    assert status == 0
    assert two_processes.rows(desk.home, "SELECT lane FROM lane WHERE leased_until != ''") == []
    assert desk.run("sync", "run").status == 0
    assert set(ehr.versions().values()) == {1}


def test_p18_a_record_that_kills_its_worker_each_time_is_parked_after_five_and_others_go_on(
    desk: Desk, ehr: EhrAtWork
) -> None:
    ids = desk.take(*(a_short_visit(patient=f"pt-{number}") for number in range(4)))
    home = Installation(settings=settings.read(), clock=ShiftedClock())
    with home.bridge() as bridge:
        shown = bridge.record(ids[1], actor="test")
    assert shown is not None
    (patient,) = [one for one in shown["resources"] if one["mapping"] == "patient"]

    died = two_processes.dying_of(home, patient["resource"].removeprefix("Patient/"))

    assert died == 5
    (stuck,) = two_processes.rows(desk.home, "SELECT reason FROM delivery WHERE state = 'parked'")
    assert stuck.reason.startswith(POISON)
    assert len(ehr.history("Patient")) == 3
