"""Where the sandbox keeps its versions: in memory, or in memory with one SQLite file behind it.

Both are one and the same store when read, so they cannot behave differently; the file only
remembers. One process holds the file at a time.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

FIRST_NUMBER = 1000
# "fhSB": marks the file as ours, so that no other program's database is ever written to.
APPLICATION_ID = 0x66685342
SCHEMA = """
CREATE TABLE IF NOT EXISTS version (
  sequence INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  number INTEGER NOT NULL,
  updated TEXT NOT NULL,
  body BLOB,
  UNIQUE (type, id, number)
) STRICT
"""


class SandboxFileError(BridgeError):
    """The file cannot be used as a sandbox's memory."""

    code = "E951"
    exit_status = 1
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of one resource; `resource` is None where this version deleted it.

    The resource is shared between readers: build a new one, never change this one.
    """

    type: str
    id: str
    number: int
    updated: datetime
    resource: Mapping[str, Any] | None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def location(self) -> str:
        return f"{self.type}/{self.id}/_history/{self.number}"


class Storage(Protocol):
    """What the sandbox asks of its memory."""

    def latest(self, resource_type: str, resource_id: str) -> Version | None:
        """Return the newest version, a deletion too; None where the id was never used."""
        ...

    def versions(self, resource_type: str, resource_id: str) -> Sequence[Version]:
        """Return every version, oldest first."""
        ...

    def log(self) -> Sequence[Version]:
        """Return every version of everything in the order it was written."""
        ...

    def living(self, resource_type: str | None = None) -> Iterator[Version]:
        """Return what is held and not deleted, in order of first writing."""
        ...

    def add(self, version: Version) -> None:
        """Write one version, inside `atomically`."""
        ...

    def next_number(self) -> int:
        """Return a number for a new id; never the same one twice while its resource stays."""
        ...

    def atomically(self) -> AbstractContextManager[None]:
        """Keep all that is added inside, or, when it raises, nothing."""
        ...

    def load(self, log: Sequence[Version]) -> None:
        """Replace everything with a log."""
        ...


class MemoryStorage:
    """Everything in this process."""

    def __init__(self) -> None:
        self._log: list[Version] = []
        self._shelves: dict[str, dict[str, list[Version]]] = {}
        self._number = FIRST_NUMBER

    def latest(self, resource_type: str, resource_id: str) -> Version | None:
        versions = self.versions(resource_type, resource_id)
        return versions[-1] if versions else None

    def versions(self, resource_type: str, resource_id: str) -> Sequence[Version]:
        return self._shelves.get(resource_type, {}).get(resource_id, [])

    def log(self) -> Sequence[Version]:
        return self._log

    def living(self, resource_type: str | None = None) -> Iterator[Version]:
        shelves = self._shelves if resource_type is None else [resource_type]
        for shelf in shelves:
            for versions in self._shelves.get(shelf, {}).values():
                if versions[-1].resource is not None:
                    yield versions[-1]

    def add(self, version: Version) -> None:
        self._log.append(version)
        self._shelves.setdefault(version.type, {}).setdefault(version.id, []).append(version)
        if version.id.isascii() and version.id.isdigit():
            self._number = max(self._number, int(version.id))

    def next_number(self) -> int:
        self._number += 1
        return self._number

    @contextmanager
    def atomically(self) -> Iterator[None]:
        length, number = len(self._log), self._number
        try:
            yield
        except BaseException:
            self._undo(length)
            self._number = number
            raise

    def load(self, log: Sequence[Version]) -> None:
        kept = tuple(log)
        self._log, self._shelves, self._number = [], {}, FIRST_NUMBER
        for version in kept:
            self.add(version)

    def _undo(self, length: int) -> None:
        while len(self._log) > length:
            version = self._log.pop()
            shelf = self._shelves[version.type]
            shelf[version.id].pop()
            if not shelf[version.id]:
                del shelf[version.id]


class SqliteStorage:
    """A MemoryStorage that one SQLite file remembers. Raises SandboxFileError at the start."""

    def __init__(self, path: Path) -> None:
        self._memory = MemoryStorage()
        self._connection = _open(path)
        self._memory.load(list(_read(self._connection)))

    def latest(self, resource_type: str, resource_id: str) -> Version | None:
        return self._memory.latest(resource_type, resource_id)

    def versions(self, resource_type: str, resource_id: str) -> Sequence[Version]:
        return self._memory.versions(resource_type, resource_id)

    def log(self) -> Sequence[Version]:
        return self._memory.log()

    def living(self, resource_type: str | None = None) -> Iterator[Version]:
        return self._memory.living(resource_type)

    def add(self, version: Version) -> None:
        self._memory.add(version)

    def next_number(self) -> int:
        return self._memory.next_number()

    @contextmanager
    def atomically(self) -> Iterator[None]:
        length = len(self._memory.log())
        # The file is written inside the memory's block: a failed write undoes the memory too.
        with self._memory.atomically():
            yield
            added = self._memory.log()[length:]
            if added:
                _write(self._connection, added)

    def load(self, log: Sequence[Version]) -> None:
        kept = tuple(log)
        _write(self._connection, kept, replace=True)
        self._memory.load(kept)

    def close(self) -> None:
        """Let another process open the file."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.touch(mode=0o600)
        # Requests come from several threads, one at a time: the model holds a lock.
        connection = sqlite3.connect(
            path, timeout=0.5, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise SandboxFileError(
            f"cannot open {path}", hint="name a file in a folder that can be written"
        ) from error
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        _refuse_foreign(connection, path)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(SCHEMA)
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise SandboxFileError(
            f"{path} is in use or cannot be written",
            hint="stop the other sandbox, or name another file",
        ) from error
    except sqlite3.DatabaseError as error:
        raise _foreign(path) from error


def _refuse_foreign(connection: sqlite3.Connection, path: Path) -> None:
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and mark != APPLICATION_ID:
        raise _foreign(path)


def _foreign(path: Path) -> SandboxFileError:
    return SandboxFileError(
        f"{path} is not a sandbox file", hint="name a new file, or an old sandbox"
    )


def _read(connection: sqlite3.Connection) -> Iterator[Version]:
    rows = connection.execute(
        "SELECT type, id, number, updated, body FROM version ORDER BY sequence"
    )
    for resource_type, resource_id, number, updated, body in rows:
        yield Version(
            type=resource_type,
            id=resource_id,
            number=number,
            updated=datetime.fromisoformat(updated),
            resource=None if body is None else codec.decode(body),
        )


def _write(
    connection: sqlite3.Connection, versions: Iterable[Version], *, replace: bool = False
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if replace:
            connection.execute("DELETE FROM version")
        connection.executemany(
            "INSERT INTO version (type, id, number, updated, body) VALUES (?, ?, ?, ?, ?)",
            [_row(version) for version in versions],
        )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _row(version: Version) -> tuple[str, str, int, str, bytes | None]:
    body = None if version.resource is None else codec.encode(version.resource)
    return version.type, version.id, version.number, version.updated.isoformat(), body
