"""P12: an older database is brought up to date in whole steps, by one migrator at a time."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text

from fhirbridge.store import tables, upgrade
from fhirbridge.store.engine import Store, StoreError
from fhirbridge.store.tables import meta
from tests.store import dooms

NEXT = """
from alembic import op
import sqlalchemy as sa
from tests.store.dooms import step
revision, down_revision = "{made}", "{before}"
def upgrade():
    for number in range(3):
        op.create_table(f"new_{made}_{{number}}", sa.Column("id", sa.Text(), primary_key=True))
        step("{made}")
    op.add_column("record", sa.Column("new_{made}", sa.Text(), nullable=True))
    op.execute("UPDATE record SET new_{made} = state")
    step("{made}")
"""
KILLS = [(schema, step) for schema in ("4", "5") for step in range(1, 5)]


@pytest.fixture
def store(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A database of schema 3, and a program that knows 4 and 5 as well."""
    monkeypatch.setattr(tables, "SCHEMA_VERSION", 5)
    made = Store(database)
    with made.begin() as tx:
        tx.execute(meta.update().values(value="3"))
    yield made
    made.close()


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    ours = upgrade.MIGRATIONS / "schema_3.py"
    (folder / "schema_3.py").write_text(ours.read_text("utf-8"), "utf-8")
    for before, made in (("3", "4"), ("4", "5")):
        text_of_it = NEXT.format(made=made, before=before)
        (folder / f"schema_{made}.py").write_text(text_of_it, "utf-8")
    return folder


def there(store: Store) -> tuple[str, set[str]]:
    """The schema that is noted, and what of the new tables and columns there is."""
    with store.read() as tx:
        found = inspect(tx)
        new = {name for name in found.get_table_names() if name.startswith("new_")}
        columns = {one["name"] for one in found.get_columns("record")}
        noted = tx.scalars(select(meta.c.value).where(meta.c.name == "schema")).one()
    return noted, new | {name for name in columns if name.startswith("new_")}


def all_of(*schemas: str) -> set[str]:
    return {f"new_{one}{more}" for one in schemas for more in ("", "_0", "_1", "_2")}


def test_p12_an_older_database_is_brought_up_to_date_and_then_good(
    store: Store, migrations: Path
) -> None:
    with pytest.raises(StoreError) as refused:
        store.check()

    assert upgrade.upgrade(store, migrations) == ["4", "5"]

    assert "fhirbridge db upgrade" in refused.value.hint
    assert there(store) == ("5", all_of("4", "5"))
    store.check()
    assert upgrade.upgrade(store, migrations) == []


@pytest.mark.parametrize(("schema", "at"), KILLS)
def test_p12_a_migration_that_is_killed_at_any_statement_is_done_whole_or_not_at_all(
    store: Store, migrations: Path, monkeypatch: pytest.MonkeyPatch, schema: str, at: int
) -> None:
    monkeypatch.setattr(dooms, "DOOM", (schema, at))
    store.close()

    child = os.fork()
    if child == 0:
        try:
            upgrade.upgrade(store, migrations)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)

    assert os.WTERMSIG(status) == signal.SIGKILL
    done = [] if schema == "4" else ["4"]
    assert there(store) == (str(3 + len(done)), all_of(*done))
    monkeypatch.setattr(dooms, "DOOM", None)
    upgrade.upgrade(store, migrations)
    assert there(store) == ("5", all_of("4", "5"))


def test_p12_of_three_migrators_at_once_each_step_is_done_by_one(
    store: Store, database: str, migrations: Path
) -> None:
    stores = [store, Store(database), Store(database)]
    # One thread at a time may use alembic's operations, as one process at a time would.
    upgrade.steps(migrations)
    done: list[str] = []
    threads = [
        Thread(target=lambda one=one: done.extend(upgrade.upgrade(one, migrations)))
        for one in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(done) == ["4", "5"]
    assert there(store) == ("5", all_of("4", "5"))
    for one in stores[1:]:
        one.close()


@pytest.mark.parametrize("schema", ["6", "2", "", "one", "40"])
def test_p12_an_unknown_schema_is_refused_and_nothing_is_changed(
    store: Store, migrations: Path, schema: str
) -> None:
    with store.begin() as tx:
        tx.execute(meta.update().values(value=schema))

    with pytest.raises(StoreError) as refused:
        upgrade.upgrade(store, migrations)
    with pytest.raises(StoreError):
        store.check()

    assert f"schema {schema}" in refused.value.message
    assert "backup" in refused.value.hint
    assert there(store) == (schema, set())


def test_the_migrations_end_at_the_schema_of_this_program() -> None:
    known = upgrade.steps()

    assert [str(one.revision) for one in known] == [
        str(one) for one in range(tables.FIRST_SCHEMA, tables.SCHEMA_VERSION + 1)
    ]


def test_all_migrations_together_make_the_tables_of_this_program(database: str) -> None:
    store = Store(database)
    triggers = guards(store)
    with store.begin() as tx:
        tables.metadata.drop_all(tx)
        if store.path is None:
            for name in ("evidence", "evidence_place", "checkpoint"):
                tx.execute(text(f"DROP FUNCTION {name}_is_append_only"))
    with store.making() as tx:
        for one in upgrade.steps():
            upgrade.run(tx, one)
        options = {"compare_type": True, "include_name": _is_no_job_table}
        differences = compare_metadata(
            MigrationContext.configure(tx, opts=options), tables.metadata
        )

    assert differences == []
    assert guards(store) == triggers != []
    store.close()


def _is_no_job_table(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out procrastinate's, which are its own: test_job_schema.py."""
    return kind != "table" or not str(name).startswith("procrastinate_")


def guards(store: Store) -> list[tuple[str, str]]:
    in_sqlite = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
    in_postgres = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"
    with store.read() as tx:
        found = tx.execute(text(in_postgres if store.path is None else in_sqlite))
        return sorted((name, definition) for name, definition in found)
