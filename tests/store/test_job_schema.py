"""The tables that wake workers come with ours: made, upgraded, refused; whole or not at all."""

import os
import shutil
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

from fhirbridge.store import job_schema, upgrade
from fhirbridge.store.engine import Store, StoreError
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

LATER = "99.00.00_01_pre_something_new"


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    made = postgres.database()
    yield made
    postgres.drop(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url)
    yield made
    made.close()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A procrastinate as it may come: with two migrations more."""
    copied = tmp_path / "sql"
    shutil.copytree(job_schema._installed(), copied)
    monkeypatch.setattr(job_schema, "_installed", lambda: copied)
    for name, made in ((LATER, "new_one"), (f"{LATER}_more", "new_two")):
        file = copied / "migrations" / f"{name}.sql"
        file.write_text(f"CREATE TABLE {made} (id int); SELECT '100 %' AS s;")
    return copied


def before_jobs(tx: Connection) -> None:
    """Leave the database as it was before any of this was in it."""
    for name in ("periodic_defers", "events", "jobs", "workers"):
        tx.execute(text(f"DROP TABLE procrastinate_{name} CASCADE"))
    of_it = "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'procrastinate%'"
    for name in tx.scalars(text(of_it)).all():
        tx.execute(text(f"DROP FUNCTION {name} CASCADE"))
    for name in ("job_status", "job_event_type", "job_to_defer_v1"):
        tx.execute(text(f"DROP TYPE procrastinate_{name} CASCADE"))


def tables_of(store: Store) -> set[str]:
    with store.read() as tx:
        return set(inspect(tx).get_table_names())


def test_a_database_without_them_is_refused_and_brought_up_to_date(store: Store) -> None:
    with store.begin() as tx:
        before_jobs(tx)

    with pytest.raises(StoreError) as refused:
        store.check()
    (made,) = upgrade.upgrade(store)

    assert "fhirbridge db upgrade" in refused.value.hint
    assert made.startswith("procrastinate ")
    assert "procrastinate_jobs" in tables_of(store)
    store.check()
    assert upgrade.upgrade(store) == []


@pytest.mark.usefixtures("later")
def test_a_newer_procrastinate_is_refused_until_its_migrations_are_done(store: Store) -> None:
    with pytest.raises(StoreError) as refused:
        store.check()

    made = upgrade.upgrade(store)

    assert "fhirbridge db upgrade" in refused.value.hint
    assert made == [f"procrastinate {LATER}", f"procrastinate {LATER}_more"]
    assert {"new_one", "new_two"} <= tables_of(store)
    store.check()
    assert upgrade.upgrade(store) == []


def test_tables_of_a_newer_procrastinate_than_is_installed_are_refused(
    store: Store, later: Path
) -> None:
    upgrade.upgrade(store)
    for file in (later / "migrations").glob(f"{LATER}*"):
        file.unlink()

    for refuses in (store.check, lambda: upgrade.upgrade(store)):
        with pytest.raises(StoreError, match="newer procrastinate"):
            refuses()


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("at", [1, 2, 3])
def test_p12_an_upgrade_that_is_killed_at_any_of_its_migrations_has_done_none(
    store: Store, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    store.close()

    child = os.fork()
    if child == 0:
        try:
            dies_at(at, monkeypatch)
            upgrade.upgrade(store)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not {"new_one", "new_two"} & tables_of(store)
    assert len(upgrade.upgrade(store)) == 2
    store.check()


def dies_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process die before its n-th file, or (the third) before it notes what was done."""
    runs, done = job_schema._run, count(1)

    def die(*given: Any) -> None:
        if next(done) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        runs(*given)

    monkeypatch.setattr(job_schema, "_run", die)
    monkeypatch.setattr(job_schema, "_note", die)


def test_without_procrastinate_it_is_said_what_to_install(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_schema, "LIBRARY", "procrastinate_that_nobody_has")

    for refuses in (store.check, lambda: upgrade.upgrade(store)):
        with pytest.raises(StoreError) as refused:
            refuses()
        assert "fhirbridge[postgres,worker]" in refused.value.hint
