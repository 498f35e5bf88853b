"""Move everything into an empty PostgreSQL database: in one transaction, proven equal before it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, insert, inspect, select, text

from fhirbridge.store import tables
from fhirbridge.store.engine import MOVED, Store
from fhirbridge.store.errors import StoreError
from fhirbridge.store.tables import lane, meta

ROWS_AT_ONCE = 1000
# Whoever still runs on the old database can write nothing more that counts there.
CLOSED = (
    """CREATE TRIGGER moved_evidence BEFORE INSERT ON evidence
    BEGIN SELECT RAISE(ABORT, 'this database was moved'); END""",
    """CREATE TRIGGER moved_lane BEFORE UPDATE ON lane
    BEGIN SELECT RAISE(ABORT, 'this database was moved'); END""",
)

Head = Callable[[Connection], str]


class NotEqualError(StoreError):
    """What was written is not what was read; nothing was moved."""

    code = "E607"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What is in both databases: rows of each table, a digest of all, the evidence log's head."""

    rows: dict[str, int]
    digest: str
    head: str


def move(source: Store, target: Store, *, head: Head, now: str) -> Moved:
    """Copy every row, then close the source for good; return what both hold.

    All or nothing: a move that was killed is begun anew, and where only the closing was left, that
    is done. Raises StoreError where the target holds anything else or somebody delivers from the
    source, NotEqualError where the copy is not equal.
    """
    ways = source.engine.dialect.name, target.engine.dialect.name
    if ways != ("sqlite", "postgresql"):
        raise StoreError(
            "only a SQLite database is moved, and only to PostgreSQL",
            hint="name the target as postgresql://USER@HOST/NAME",
        )
    with source.begin() as old:
        _refuse_at_work(old, now)
        with target.making() as new:
            # It waits for as long as the old one is read, and nobody waits for it.
            new.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            if not inspect(new).get_table_names():
                tables.metadata.create_all(new)
                for table in tables.metadata.sorted_tables:
                    _copy(old, new, table)
                _set_sequences(new)
                target.furnish(new)
            made = _what_is_in(old, head)
            if _what_is_in(new, head) != made:
                raise NotEqualError(
                    "the target holds something else; nothing was moved",
                    hint="name an empty database",
                )
        for statement in CLOSED:
            old.execute(text(statement))
        old.execute(insert(meta).values(name=MOVED, value=now))
    return made


def _refuse_at_work(old: Connection, now: str) -> None:
    if old.execute(select(lane.c.lane).where(lane.c.leased_until > now).limit(1)).first():
        raise StoreError(
            "deliveries are under way in this database",
            hint="stop serve, worker and sync, wait a minute, then try again",
        )


def _copy(old: Connection, new: Connection, table: Table) -> None:
    for rows in old.execute(select(table)).mappings().partitions(ROWS_AT_ONCE):
        new.execute(insert(table), [dict(row) for row in rows])


def _set_sequences(new: Connection) -> None:
    """Let what the database numbers itself go on after the highest number that came along."""
    for table in tables.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            place = func.pg_get_serial_sequence(table.name, column.name)
            following = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
            new.execute(select(func.setval(place, following, False)))


def _what_is_in(tx: Connection, head: Head) -> Moved:
    rows, digest = {}, hashlib.sha256()
    for table in tables.metadata.sorted_tables:
        digest.update(table.name.encode())
        count = 0
        chosen = select(table).order_by(*table.primary_key.columns)
        for row in tx.execute(chosen.execution_options(yield_per=ROWS_AT_ONCE)):
            digest.update(repr(tuple(row)).encode())
            count += 1
        rows[table.name] = count
    return Moved(rows=rows, digest=digest.hexdigest(), head=head(tx))
