"""Copy a database as it is at one moment, while others use it; put such a copy in place."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import func, select

from fhirbridge.rng import Rng, new_id
from fhirbridge.store import lineage, tables
from fhirbridge.store.engine import Store, StoreError
from fhirbridge.store.sqlite import PRIVATE


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
def _as_of_the_disk() -> Iterator[None]:
    """Tell a full or broken disk in one way, whether SQLite met it or we did."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(0, error.sqlite_errorname) from error


def counts(store: Store) -> dict[str, int]:
    """Return how many rows each table has."""
    with store.read() as tx:
        return {
            table.name: tx.scalar(select(func.count()).select_from(table)) or 0
            for table in tables.metadata.sorted_tables
        }


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
