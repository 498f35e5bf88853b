"""Copy a database as it is at one moment, while others use it; look into such a copy."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, StaticPool, create_engine

from fhirbridge.rng import Rng, new_id
from fhirbridge.store import lineage
from fhirbridge.store.engine import Store, StoreError
from fhirbridge.store.errors import busy
from fhirbridge.store.sqlite import PRIVATE, damaged, wal_is_safe


def copy(store: Store, to: Path, rng: Rng) -> None:
    """Write the whole database to the new file `to`, mode 0600. Writers wait meanwhile.

    The copy has a lineage of its own: wherever it is put back, it is noticed as an old copy, and
    each EHR is compared as a whole before anything is sent. Raises OSError.
    """
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    with closing(store.engine.raw_connection()) as source:
        driver = source.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise StoreError("this database is not a file", hint="back it up with pg_dump")
        with _as_of_the_disk(), closing(sqlite3.connect(to)) as target:
            driver.backup(target)  # in one step: in several it would begin anew at each write
            lineage_of_its_own = (lineage.NAME, new_id(rng))
            target.execute("REPLACE INTO meta (name, value) VALUES (?, ?)", lineage_of_its_own)
            target.commit()
            target.execute("PRAGMA journal_mode=DELETE")  # no second file beside it
    sync(to)


@contextmanager
def snapshot(store: Store) -> Iterator[Connection]:
    """Give one moment's view of the whole database to who reads for long; writers go on meanwhile.

    A file without a write-ahead log lets nobody write while somebody reads. It is copied first,
    into a temporary file that has no name and goes with this process. Raises StoreError.
    """
    if store.path is None or wal_is_safe(sqlite3.sqlite_version_info):
        with store.read() as tx:
            yield tx
        return
    # One connection for all that asks: a second one would be another, empty database.
    with closing(sqlite3.connect("", check_same_thread=False)) as copied:
        try:
            with closing(store.engine.raw_connection()) as source:
                cast(sqlite3.Connection, source.driver_connection).backup(copied)
        except sqlite3.Error as error:
            raise busy(error.sqlite_errorname) from error
        copied.isolation_level = None
        engine = create_engine("sqlite://", creator=lambda: copied, poolclass=StaticPool)
        with engine.connect() as tx:
            yield tx


@contextmanager
def _as_of_the_disk() -> Iterator[None]:
    """Tell a full or broken disk in one way, whether SQLite met it or we did."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(0, error.sqlite_errorname) from error


def counts(copy: Path) -> dict[str, int]:
    """Return how many rows each table of a copy has. Changes no byte of it and beside it.

    Raises StoreError where it is damaged, or no database.
    """
    # Immutable: an ordinary connection would choose a journal, and write that into the file.
    address = f"{copy.resolve().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise damaged()
            names = (
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
            return {
                name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608  a name of SQLite's own list
                for (name,) in sorted(database.execute(names))
            }
    except sqlite3.Error as error:
        raise damaged() from error


def file_of(store: Store) -> Path:
    """Return the database's file. Raises StoreError where it is none."""
    if store.path is None:
        raise StoreError("this database is not a file", hint="back it up with pg_dump")
    return store.path


def sync(path: Path) -> None:
    """Return once the disk has it: a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
