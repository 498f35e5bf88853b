"""Notice that this database is an old copy of itself.

A file of SQLite: a token turns in it and in a file beside it.

The file lies outside the backup. It is written first and names the token that the database has and
the one that it gets, so that a crash in between is no alarm; an old copy's own token never stands
in it, so that one is noticed again after such a crash. Who copies both back is not noticed.

PostgreSQL names its own history (`Postgres.history`), which is kept in it: it differs after a
standby took over, after a restore to a point in time, and after a dump was read back. A disk's
snapshot put back is not noticed.
"""

import os
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from fhirbridge.rng import Rng, new_id
from fhirbridge.store.engine import Store
from fhirbridge.store.sqlite import PRIVATE
from fhirbridge.store.tables import meta

NAME = "lineage"
SERVER = "server"  # the history of PostgreSQL's server
SUFFIX = ".lineage"


def turn(tx: Connection, store: Store, rng: Rng) -> bool:
    """Take the next token; say whether this database took the last one.

    `tx` writes: its lock also keeps two of us from the file. What is done against an old copy is
    done in the same transaction.
    """
    if store.path is not None:
        return _turn_file(tx, store.path, rng)
    history = store.history(tx)
    if not history:  # in memory
        return True
    known = _known(tx, SERVER)
    if history != known:
        _keep(tx, SERVER, history, is_new=known is None)
    return known in (None, history)


def _turn_file(tx: Connection, database: Path, rng: Rng) -> bool:
    beside = database.with_name(database.name + SUFFIX)
    known = _known(tx, NAME)
    listed = _read(beside)
    token = new_id(rng)
    is_ours = known in listed if known is not None else not listed
    _write(beside, [known, token] if is_ours and known is not None else [token])
    _keep(tx, NAME, token, is_new=known is None)
    return is_ours


def _known(tx: Connection, name: str) -> str | None:
    return tx.scalar(select(meta.c.value).where(meta.c.name == name))


def _keep(tx: Connection, name: str, value: str, *, is_new: bool) -> None:
    if is_new:
        tx.execute(insert(meta).values(name=name, value=value))
    else:
        tx.execute(update(meta).where(meta.c.name == name).values(value=value))


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").split()
    except FileNotFoundError:
        return []


def _write(path: Path, tokens: list[str]) -> None:
    """Replace the file as a whole: there is the old one or the new one, never half of one."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(tokens) + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
