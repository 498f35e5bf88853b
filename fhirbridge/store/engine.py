"""Open the database with the settings that our promises need; a unit of work is a transaction."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar
from weakref import WeakSet

from sqlalchemy import Connection, Engine, exc, insert, inspect, select
from sqlalchemy.engine import make_url

from fhirbridge.store import after, sqlite, tables
from fhirbridge.store.database import Beginning, Database
from fhirbridge.store.errors import (
    StoreBusyError,
    StoreConflictError,
    StoreDoubtError,
    StoreError,
    busy,
)
from fhirbridge.store.postgres import Postgres
from fhirbridge.store.sqlite import Sqlite
from fhirbridge.store.turns import Turns

__all__ = ["Store", "StoreBusyError", "StoreConflictError", "StoreDoubtError", "StoreError"]

MOVED = "moved"  # in `meta`, of a database whose work goes on elsewhere

Done = TypeVar("Done")

_ENGINES: WeakSet[Engine] = WeakSet()  # whose connections no other process may use
_OF_THE_PARENT: list[object] = []  # never closed here: it would end what the parent does with them


class Store:
    """One database. `begin()` writes, `read()` reads; both give a SQLAlchemy Connection.

    A writer that began keeps every other writer out until it ends. `commit()` does not: what it
    does may run beside others.
    """

    def __init__(self, url: str) -> None:
        """Open nothing yet. Raises StoreError where the URL names no database that we know."""
        self._database = _database(url)
        self.engine = self._database.engine
        self.path = self._database.path
        if self.path is not None or self._database.beside is not None:  # not in memory
            _ENGINES.add(self.engine)
        self._turns = Turns()

    def create(self) -> None:
        """Make the tables in an empty database and note the schema's version."""
        self._database.make()
        with self.making() as tx:
            if not inspect(tx).has_table("meta"):
                tables.metadata.create_all(tx)
                tx.execute(
                    insert(tables.meta).values(name="schema", value=str(tables.SCHEMA_VERSION))
                )
                self.furnish(tx)

    def conninfo(self) -> str:
        """Return how libpq finds the database; "" where it is a file."""
        return self._database.conninfo()

    def furnish(self, tx: Connection) -> list[str]:
        """Make what this database needs beside our tables, or upgrade it; return what was done."""
        return self._database.furnish(tx)

    @contextmanager
    def making(self) -> Iterator[Connection]:
        """One write transaction for who makes the tables; nobody else makes them meanwhile."""
        with self._transaction(self._database.maker) as tx:
            yield tx

    def is_made(self) -> bool:
        """Say whether there is a database with our tables already."""
        if not self._database.exists():
            return False
        with self.read() as tx:
            return inspect(tx).has_table("meta")

    def check(self) -> None:
        """Refuse a database that is missing, of another schema, or damaged. Raises StoreError."""
        with self.read() as tx:
            self.check_schema(tx)
            self._database.check(tx)

    def check_schema(self, tx: Connection) -> None:
        """Refuse a database of another schema, or one that was moved. Raises StoreError."""
        found = schema(tx)
        if found != str(tables.SCHEMA_VERSION):
            raise other_schema(found)
        if tx.scalar(select(tables.meta.c.value).where(tables.meta.c.name == MOVED)):
            raise _moved()

    def describe(self) -> tuple[str, str]:
        """Return the database's name, and its version and how it writes."""
        with self.read() as tx:
            return self._database.describe(tx)

    def history(self, tx: Connection) -> str:
        """Name the database's past, which differs once it went back; "" for one in memory."""
        return self._database.history(tx)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One write transaction: committed at the end, rolled back on any exception.

        Raises StoreBusyError where nothing was written, StoreDoubtError where nobody knows.
        """
        with self._turn(), self._transaction(self._database.alone) as tx:
            yield tx

    def commit(self, work: Callable[[Connection], Done]) -> Done:
        """Do `work` in one write transaction that may run beside others, as if one by one.

        Where others are in its way, all of it is done once more, alone: so `work` reads what it
        decides by in its own transaction, and changes nothing outside of it.
        """
        if self._database.beside is not None:
            # An IntegrityError, too, may come of others: one made the same row just before.
            in_the_way = suppress(StoreConflictError, exc.IntegrityError)
            with in_the_way, self._transaction(self._database.beside) as tx:
                return work(tx)
        with self.begin() as tx:
            return work(tx)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; takes no write lock and writes nothing."""
        reader = self._database.reader
        with self._told(), self._connected(reader) as connection:
            if reader.first:
                connection.exec_driver_sql(reader.first)
            yield connection
            connection.rollback()

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.take(sqlite.BUSY_TIMEOUT_MS / 1000):
            raise busy("others write all the time, its turn did not come")
        try:
            yield
        finally:
            self._turns.give()

    @contextmanager
    def _transaction(self, beginning: Beginning) -> Iterator[Connection]:
        ending = False
        wanted: list[after.Call] = []
        with self._told():
            try:
                with self._connected(beginning) as connection:
                    after.taken(connection)  # of one that was rolled back
                    with connection.begin():
                        if beginning.first:
                            connection.exec_driver_sql(beginning.first)
                        yield connection
                        ending = True
                    wanted = after.taken(connection)
            except exc.DBAPIError as error:
                if ending and error.connection_invalidated:
                    raise _in_doubt() from error
                raise
        for call in wanted:
            call()

    def _connected(self, beginning: Beginning) -> Connection:
        return self.engine.connect().execution_options(**beginning.options)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except exc.TimeoutError as error:  # of the pool
            raise busy("no free connection") from error
        except exc.DBAPIError as error:
            told = self._database.told(error)
            if told is None:
                raise
            raise told from error


def _forget_the_parents() -> None:
    """Let a forked process open its own connections: two on one would read each other's answers."""
    for engine in list(_ENGINES):
        _OF_THE_PARENT.append(engine.pool)
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_the_parents)


def schema(tx: Connection) -> str:
    """Return the version of the schema, or "" where none is noted."""
    if not inspect(tx).has_table("meta"):
        raise StoreError("the database is empty", hint="run: fhirbridge init")
    return tx.scalar(select(tables.meta.c.value).where(tables.meta.c.name == "schema")) or ""


def other_schema(found: str) -> StoreError:
    """Return why a database of this schema is not used, and what to do."""
    known = f"the database has schema {found}, this program knows {tables.SCHEMA_VERSION}"
    if found.isdecimal() and tables.FIRST_SCHEMA <= int(found) < tables.SCHEMA_VERSION:
        return StoreError(known, hint="make a backup, then run: fhirbridge db upgrade")
    return StoreError(
        known, hint="run the version of fhirbridge that wrote it, or restore a backup"
    )


def _moved() -> StoreError:
    return StoreError(
        "this database was moved, and nothing is done here any more",
        hint="set FHIRBRIDGE_DATABASE_URL to the one that it was moved to",
    )


def _in_doubt() -> StoreDoubtError:
    return StoreDoubtError(
        "the connection to the database was lost while it wrote",
        hint="do it again: what was written is found, and not written twice",
    )


def _database(url: str) -> Database:
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        parsed = make_url("none://")
    known: dict[str, Callable[..., Database]] = {"sqlite": Sqlite, "postgresql": Postgres}
    chosen = known.get(parsed.get_backend_name().partition("+")[0])
    if chosen is None:
        raise StoreError(
            "only SQLite and PostgreSQL are supported",
            hint="set FHIRBRIDGE_DATABASE_URL to sqlite:///PATH or postgresql://HOST/NAME",
        )
    return chosen(parsed)
