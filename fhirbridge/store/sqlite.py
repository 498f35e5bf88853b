"""SQLite with the settings that our promises need."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, exc, text

from fhirbridge.errors import BridgeError
from fhirbridge.store.database import Beginning
from fhirbridge.store.errors import StoreError, busy, lacking

BUSY_TIMEOUT_MS = 15_000
PRIVATE = 0o600
DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
# WAL with two connections can corrupt before these releases: https://sqlite.org/wal.html#walresetbug
WAL_SAFE_SINCE = (3, 51, 3)
WAL_SAFE_BACKPORTS: dict[tuple[int, ...], int] = {(3, 50): 7, (3, 44): 6}


class Sqlite:
    """One file, or memory. Whoever writes has the one write lock from the beginning."""

    alone = maker = Beginning()
    beside: Beginning | None = None
    reader = Beginning(options={"read_only": True})

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(
            url, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}
        )
        named = url.database if url.database != ":memory:" else ""
        self.path: Path | None = Path(named) if named else None
        event.listen(self.engine, "connect", _settle)
        event.listen(self.engine, "begin", _begin)

    def conninfo(self) -> str:
        return ""

    def make(self) -> None:
        """Make the file with its mode before SQLite does; its journals take the mode from it."""
        if self.path is not None:
            # Where it is already, it is not opened: closing it would drop this process's locks.
            with suppress(FileExistsError, FileNotFoundError):
                os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))

    def exists(self) -> bool:
        return self.path is not None and self.path.exists()

    def furnish(self, tx: Connection) -> list[str]:  # noqa: ARG002  as the other one
        return []

    def check(self, tx: Connection) -> None:
        if tx.scalar(text("PRAGMA quick_check(1)")) != "ok":
            raise damaged()

    def describe(self, tx: Connection) -> tuple[str, str]:
        version = tx.scalar(text("SELECT sqlite_version()"))
        return "SQLite", f"{version}, journal {tx.scalar(text('PRAGMA journal_mode'))}"

    def history(self, tx: Connection) -> str:  # noqa: ARG002  a file has a token beside it
        return ""

    def told(self, error: exc.DBAPIError) -> BridgeError | None:
        # The driver's own text may name files, so only SQLite's name of the error is told.
        name = str(getattr(error.orig, "sqlite_errorname", "no reason given"))
        if name.startswith(DAMAGED):
            return damaged()
        if name == "SQLITE_ERROR":
            return lacking()
        return busy(name) if isinstance(error, exc.OperationalError) else None


def _settle(connection: sqlite3.Connection, _record: Any) -> None:
    # SQLAlchemy says BEGIN, not the driver, which would begin too late to hold a write lock.
    connection.isolation_level = None
    for pragma in pragmas(sqlite3.sqlite_version_info):
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def damaged() -> StoreError:
    """Return what is said of a file that is no whole database."""
    return StoreError("the database file is damaged", hint="restore it from a backup")


def pragmas(version: tuple[int, ...]) -> list[str]:
    """Return what is set on each connection of this SQLite."""
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
