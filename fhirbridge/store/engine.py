"""Open the database with the settings that our promises need; a unit of work is a transaction."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, insert, inspect, select, text
from sqlalchemy.engine import make_url

from fhirbridge.errors import BridgeError
from fhirbridge.store import patient_tables, tables
from fhirbridge.store.turns import Turns

BUSY_TIMEOUT_MS = 15_000
PRIVATE = 0o600
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# WAL with two connections can corrupt before these releases: https://sqlite.org/wal.html#walresetbug
WAL_SAFE_SINCE = (3, 51, 3)
WAL_SAFE_BACKPORTS: dict[tuple[int, ...], int] = {(3, 50): 7, (3, 44): 6}


class StoreError(BridgeError):
    """The database cannot be used as it is."""

    code = "E601"


class StoreBusyError(BridgeError):
    """The database is locked or full; nothing was written."""

    code = "E602"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class Store:
    """One database. `begin()` writes, `read()` reads; both give a SQLAlchemy Connection."""

    def __init__(self, url: str) -> None:
        if not _is_sqlite(url):
            raise StoreError(
                "only SQLite is supported", hint="set FHIRBRIDGE_DATABASE_URL to sqlite:///PATH"
            )
        self.engine = _sqlite_engine(url)
        self._turns = Turns()

    def create(self) -> None:
        """Make the tables that are missing and note the schema's version."""
        _make_private(self.engine.url.database)
        with self.begin() as tx:
            for part in (tables, patient_tables):
                part.metadata.create_all(tx)
            for statement in tables.APPEND_ONLY:
                tx.execute(text(statement))
            known = tx.scalar(select(tables.meta.c.value).where(tables.meta.c.name == "schema"))
            if known is None:
                tx.execute(
                    insert(tables.meta).values(name="schema", value=str(tables.SCHEMA_VERSION))
                )

    def is_made(self) -> bool:
        """Say whether there is a database with our tables already."""
        path = self.engine.url.database
        if not path or not Path(path).exists():  # looking must not make it
            return False
        with self.read() as tx:
            return inspect(tx).has_table("meta")

    def check(self) -> None:
        """Refuse a database that is missing, newer than this program, or damaged."""
        with self.read() as tx:
            if not inspect(tx).has_table("meta"):
                raise StoreError("the database is empty", hint="run: fhirbridge init")
            found = tx.scalar(select(tables.meta.c.value).where(tables.meta.c.name == "schema"))
            if found != str(tables.SCHEMA_VERSION):
                raise StoreError(
                    f"the database has schema {found}, this program knows {tables.SCHEMA_VERSION}",
                    hint="run the version of fhirbridge that wrote it, or restore a backup",
                )
            if tx.scalar(text("PRAGMA quick_check(1)")) != "ok":
                raise _damaged()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One write transaction: committed at the end, rolled back on any exception."""
        if not self._turns.take(BUSY_TIMEOUT_MS / 1000):
            raise _busy("others write all the time, its turn did not come")
        try:
            with _friendly(), self.engine.begin() as connection:
                yield connection
        finally:
            self._turns.give()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; takes no write lock and writes nothing."""
        with _friendly(), self.engine.connect().execution_options(read_only=True) as connection:
            yield connection
            connection.rollback()

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


@contextmanager
def _friendly() -> Iterator[None]:
    try:
        yield
    except exc.DatabaseError as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error


def _told(error: exc.DatabaseError) -> BridgeError | None:
    """Turn what the driver says into our words; None for a mistake in a statement or a row."""
    # The driver's own text may name files, so only SQLite's name of the error is told.
    name = str(getattr(error.orig, "sqlite_errorname", "no reason given"))
    if name.startswith(DAMAGED):
        return _damaged()
    if name == "SQLITE_ERROR":
        return StoreError(
            "the database lacks what this program needs", hint="restore it from a backup"
        )
    if not isinstance(error, exc.OperationalError):
        return None
    return _busy(name)


def _busy(why: str) -> StoreBusyError:
    return StoreBusyError(
        f"the database did not answer: {why}",
        hint="nothing was written; check disk space and other writers, then try again",
    )


def _damaged() -> StoreError:
    return StoreError("the database file is damaged", hint="restore it from a backup")


def _is_sqlite(url: str) -> bool:
    try:
        return make_url(url).get_backend_name() == "sqlite"
    except exc.ArgumentError:
        return False


def _make_private(path: str | None) -> None:
    """Make the file with its mode before SQLite does; its journals take the mode from it."""
    if path and path != ":memory:":
        # Where it is already, it is not opened: closing it would drop this process's locks.
        with suppress(FileExistsError, FileNotFoundError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
    )

    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, _record: Any) -> None:
        # SQLAlchemy says BEGIN, not the driver, which would begin too late to hold a write lock.
        connection.isolation_level = None
        for pragma in _pragmas(sqlite3.sqlite_version_info):
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _pragmas(version: tuple[int, ...]) -> list[str]:
    durable = (
        ["PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"]
        if wal_is_safe(version)
        else ["PRAGMA journal_mode=PERSIST", "PRAGMA synchronous=EXTRA"]
    )
    return [
        f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
        *durable,
        "PRAGMA foreign_keys=ON",
        "PRAGMA secure_delete=ON",
    ]


def wal_is_safe(version: tuple[int, ...]) -> bool:
    """Say whether this SQLite's WAL cannot corrupt the file under two connections."""
    backport = WAL_SAFE_BACKPORTS.get(version[:2])
    return version >= WAL_SAFE_SINCE or (backport is not None and version[2] >= backport)
