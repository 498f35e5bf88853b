"""One writer, whole transactions, and a refusal in plain words when the database cannot be used."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from fhirbridge.store import sqlite, tables
from fhirbridge.store.engine import Store, StoreBusyError, StoreError

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fhirbridge.db"


@pytest.fixture
def store(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A new database whose writers wait for a lock no longer than a moment."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 5)
    made = Store(f"sqlite:///{path}")
    made.create()
    yield made
    made.close()


def note(store: Store, *names: str) -> None:
    with store.begin() as tx:
        for name in names:
            tx.execute(insert(tables.meta).values(name=name, value="x"))


def names(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.scalars(select(tables.meta.c.name)))


# --- one unit of work ---------------------------------------------------------------------------


def test_what_a_transaction_wrote_is_there_for_the_next_program(store: Store, path: Path) -> None:
    note(store, "one", "two")
    store.close()

    assert names(Store(f"sqlite:///{path}")) == {"schema", "one", "two"}


def test_a_reader_sees_one_moment(store: Store, path: Path) -> None:
    with store.read() as tx:
        before = tx.scalar(text("SELECT count(*) FROM meta"))
        # With a WAL the other program may write, without one it may not.
        with closing(sqlite3.connect(path, timeout=0)) as other, suppress(sqlite3.Error):
            other.execute("INSERT INTO meta VALUES ('one', 'x')")
            other.commit()
        after = tx.scalar(text("SELECT count(*) FROM meta"))

    assert (before, after) == (1, 1)


# --- locked, full, damaged ----------------------------------------------------------------------


def test_a_writer_holds_the_lock_before_it_has_written_anything(store: Store) -> None:
    with store.begin(), pytest.raises(StoreBusyError) as refused:
        note(store, "second")

    assert refused.value.http_status == 503
    assert refused.value.code == "E602"
    assert "SQLITE_BUSY" in refused.value.message
    assert names(store) == {"schema"}


def test_a_reader_does_not_wait_for_a_writer_that_has_not_committed(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(insert(tables.meta).values(name="one", value="x"))

        assert names(store) == {"schema"}


def test_p09_a_database_that_another_program_keeps_to_itself_is_busy_and_then_works(
    store: Store, path: Path
) -> None:
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        for use in (note, names, lambda used: used.check()):
            with pytest.raises(StoreBusyError):
                use(store)
        other.execute("ROLLBACK")

    note(store, "one")

    assert names(store) == {"schema", "one"}


def test_p07_a_full_disk_is_busy_leaves_nothing_half_written_and_recovers(store: Store) -> None:
    with store.begin() as tx:
        most = tx.scalar(text("PRAGMA page_count")) or 0
        tx.execute(text(f"PRAGMA max_page_count={most + 2}"))

    def fill() -> None:
        with store.begin() as tx:
            tx.execute(insert(tables.meta).values(name="small", value="x"))
            tx.execute(insert(tables.meta).values(name="large", value="x" * 20 * PAGE))

    with pytest.raises(StoreBusyError) as refused:
        fill()

    assert "SQLITE_FULL" in refused.value.message
    assert names(store) == {"schema"}
    note(store, "small")
    assert names(store) == {"schema", "small"}


def test_a_database_that_was_never_made_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as refused:
        Store(f"sqlite:///{tmp_path / 'none.db'}").check()

    assert "fhirbridge init" in refused.value.hint


def test_a_database_without_a_schema_is_refused(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(tables.meta.delete())

    with pytest.raises(StoreError):
        store.check()


def test_damage_to_any_page_is_noticed_and_the_backup_is_named(store: Store, path: Path) -> None:
    store.close()
    whole = path.read_bytes()
    missed = []

    for start in range(0, len(whole), PAGE):
        path.write_bytes(whole[:start] + b"\xff" * PAGE + whole[start + PAGE :])
        damaged = Store(f"sqlite:///{path}")
        try:
            damaged.check()
            missed.append(start // PAGE)
        except StoreError as refused:
            assert "backup" in refused.hint  # noqa: PT017
        damaged.close()

    assert missed == []
    assert len(whole) > 10 * PAGE


@pytest.mark.parametrize("keep", [PAGE // 2, PAGE, 5 * PAGE, 5 * PAGE + 100])
def test_a_database_that_was_cut_off_is_refused(store: Store, path: Path, keep: int) -> None:
    store.close()
    path.write_bytes(path.read_bytes()[:keep])

    with pytest.raises(StoreError):
        Store(f"sqlite:///{path}").check()


def test_a_file_that_is_no_database_is_refused_by_every_use(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)

    for use in (Store.create, Store.check, names):
        with pytest.raises(StoreError) as refused:
            use(Store(f"sqlite:///{path}"))
        assert "damaged" in refused.value.message
    assert path.read_bytes().startswith(b"Dear diary")


@pytest.mark.parametrize(
    "url", ["oracle://db.example.org/x", "mysql://h/x", "fhirbridge.db", "", "sqlite", "://"]
)
def test_an_address_of_no_database_that_we_know_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(StoreError) as refused:
        Store(url)

    assert refused.value.message == "only SQLite and PostgreSQL are supported"
    assert "FHIRBRIDGE_DATABASE_URL" in refused.value.hint


def test_a_folder_that_does_not_exist_is_named_as_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreBusyError, match="SQLITE_CANTOPEN"):
        Store(f"sqlite:///{tmp_path / 'no' / 'such.db'}").check()


# --- settings of each connection ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 7), True),
        ((3, 45, 0), False),
        ((3, 45, 9), False),
        ((3, 49, 9), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_used_only_where_it_cannot_corrupt(
    version: tuple[int, int, int], *, safe: bool
) -> None:
    pragmas = sqlite.pragmas(version)

    assert sqlite.wal_is_safe(version) is safe
    assert ("PRAGMA journal_mode=WAL" in pragmas) is safe
    assert ("PRAGMA synchronous=FULL" if safe else "PRAGMA synchronous=EXTRA") in pragmas


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("foreign_keys", 1), ("secure_delete", 1), ("busy_timeout", 5)],
)
def test_each_connection_has_our_settings(store: Store, pragma: str, value: int) -> None:
    for _ in range(2):
        with store.read() as tx:
            assert tx.scalar(text(f"PRAGMA {pragma}")) == value
        store.close()


def test_commits_are_durable_in_the_mode_of_this_sqlite(store: Store) -> None:
    safe = sqlite.wal_is_safe(sqlite3.sqlite_version_info)

    with store.read() as tx:
        found = (
            tx.scalar(text("PRAGMA journal_mode")),
            tx.scalar(text("PRAGMA synchronous")),
        )

    assert found == (("wal", 2) if safe else ("persist", 3))


def test_a_row_cannot_point_at_a_row_that_is_not_there(store: Store) -> None:
    values = {"destination": "ehr", "type": "Patient", "resource_id": "p", "resource": "none"}
    texts = ("ehr_id", "ehr_version", "digest", "delivered_at", "read_back_at")

    with pytest.raises(IntegrityError), store.begin() as tx:
        tx.execute(insert(tables.ledger).values(**values, **dict.fromkeys(texts, ""), sequence=1))


def test_the_database_file_is_its_owners_alone(store: Store, path: Path) -> None:
    note(store, "one")

    modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}

    assert modes == {0o600}
