"""Open the database with the settings that our promises need; one unit of work is one transaction."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc, insert, inspect, select, text
from sqlalchemy.engine import make_url

from fhirbridge.errors import BridgeError
from fhirbridge.store import tables

BUSY_TIMEOUT_MS = 15_000
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
        if make_url(url).get_backend_name() != "sqlite":
            raise StoreError(
                "only SQLite is supported", hint="set FHIRBRIDGE_DATABASE_URL to sqlite:///PATH"
            )
        self.engine = _sqlite_engine(url)

    def create(self) -> None:
        """Make the tables that are missing and note the schema's version."""
        with self.begin() as tx:
            tables.metadata.create_all(tx)
            for statement in tables.APPEND_ONLY:
                tx.execute(text(statement))
            known = tx.scalar(select(tables.meta.c.value).where(tables.meta.c.name == "schema"))
            if known is None:
                tx.execute(
                    insert(tables.meta).values(name="schema", value=str(tables.SCHEMA_VERSION))
                )

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
                raise StoreError("the database file is damaged", hint="restore it from a backup")

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One write transaction: committed at the end, rolled back on any exception."""
        with _friendly(), self.engine.begin() as connection:
            yield connection

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
    except exc.OperationalError as error:
        # The driver's own text names files and statements, not rows: parameters are hidden.
        raise StoreBusyError(
            f"the database did not answer: {type(error.orig).__name__}",
            hint="nothing was written; check disk space and other writers, then try again",
        ) from error


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
    )

    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, _record: Any) -> None:
        # SQLAlchemy says BEGIN, not the driver: the driver would begin too late to hold a write lock.
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
