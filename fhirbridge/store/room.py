"""How much room is left where the database lies, and when that is too little."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from sqlalchemy import exc
from sqlalchemy.engine import make_url

from fhirbridge.errors import BridgeError

MEGABYTE = 1_000_000
JOURNALS = ("", "-wal", "-shm", "-journal")
# Below this part of what a person is told of, nothing is taken in: the rest is for what is owed.
FLOOR = 10


class NoRoomError(BridgeError):
    """The disk is nearly full; nothing was stored."""

    code = "E606"
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """In bytes: free for this process, and taken by the database with its journals."""

    free: int
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Where the database lies. `measure` returns None where nobody can tell.

    `least` is in bytes: with less a person is told; with less than a tenth nothing is taken in.
    """

    measure: Callable[[], Room | None]
    least: int = 0

    def is_low(self, room: Room | None) -> bool:
        """Say whether a person is to be told."""
        return room is not None and room.free < self.least

    def is_full(self, room: Room | None) -> bool:
        """Say whether nothing is taken in."""
        return room is not None and room.free < self.least // FLOOR

    def check(self) -> None:
        """Refuse to take in more before the disk is really full. Raises NoRoomError."""
        if self.is_full(self.measure()):
            raise NoRoomError(
                "the disk of the database is nearly full; nothing was stored",
                hint="make space there, then send it again",
            )


def unknown() -> Room | None:
    """Measure a database that lies on no disk of this machine."""
    return None


ENDLESS = Disk(measure=unknown)


def beside(database_url: str, *, least: int) -> Disk:
    """Return the disk of this database; only a file's is known."""
    try:
        url = make_url(database_url)
    except exc.ArgumentError:
        return Disk(measure=unknown, least=least)
    path = url.database
    if url.get_backend_name() != "sqlite" or not path or path == ":memory:":
        return Disk(measure=unknown, least=least)
    return Disk(measure=lambda: _measured(Path(path)), least=least)


def _measured(path: Path) -> Room | None:
    used = 0
    for ending in JOURNALS:
        with suppress(OSError):
            used += path.with_name(path.name + ending).stat().st_size
    try:
        return Room(free=shutil.disk_usage(path.parent).free, used=used)
    except OSError:
        return None
