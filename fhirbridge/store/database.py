"""What the store needs of a database: how its transactions begin, and what its errors mean."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, exc

from fhirbridge.errors import BridgeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """How a transaction begins: SQLAlchemy's execution options, then the first statement."""

    options: dict[str, Any] = field(default_factory=dict)
    first: str = ""


class Database(Protocol):
    """SQLite or PostgreSQL."""

    engine: Engine
    path: Path | None  # of its file, where it is one
    alone: Beginning  # a writer beside whom nobody writes
    beside: Beginning | None  # one beside others, with the effect of one after the other, if any
    reader: Beginning  # one moment's view
    maker: Beginning  # who makes the tables, which are not there to be locked

    def conninfo(self) -> str:
        """Return how libpq finds it; "" for a file."""

    def make(self) -> None:
        """Make the database itself, where that is ours to do."""

    def exists(self) -> bool:
        """Say whether there is a database; looking must not make one."""

    def furnish(self, tx: Connection) -> list[str]:
        """Make what it needs beside our tables, or upgrade that; return what was done."""

    def check(self, tx: Connection) -> None:
        """Refuse a database that is damaged or cannot keep our promises. Raises StoreError."""

    def describe(self, tx: Connection) -> tuple[str, str]:
        """Return its name, and its version and how it writes, for a person."""

    def history(self, tx: Connection) -> str:
        """Name its past, which differs once it went back or another server took over; "" if none.

        `tx` writes.
        """

    def told(self, error: exc.DBAPIError) -> BridgeError | None:
        """Turn what the driver says into our words; None for a mistake in a statement or a row."""
