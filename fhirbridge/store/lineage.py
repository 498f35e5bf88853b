"""Notice that this database is an old copy of itself: a token turns in it and in a file beside it.

The file lies outside the backup. It is written first and names the token that the database has and
the one that it gets, so that a crash in between is no alarm; an old copy's own token never stands
in it, so that one is noticed again after such a crash. Who copies both back is not noticed,
nor a PostgreSQL database that was restored: it is used from many machines and has no such file.
"""

import os
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from fhirbridge.rng import Rng, new_id
from fhirbridge.store.sqlite import PRIVATE
from fhirbridge.store.tables import meta

NAME = "lineage"
SUFFIX = ".lineage"


def turn(tx: Connection, database: Path | None, rng: Rng) -> bool:
    """Take the next token; say whether this database, a file or none, took the last one.

    `tx` writes: its lock also keeps two of us from the file. What is done against an old copy is
    done in the same transaction.
    """
    if database is None:
        return True
    beside = database.with_name(database.name + SUFFIX)
    known = tx.scalar(select(meta.c.value).where(meta.c.name == NAME))
    listed = _read(beside)
    token = new_id(rng)
    is_ours = known in listed if known is not None else not listed
    _write(beside, [known, token] if is_ours and known is not None else [token])
    _keep(tx, token, is_new=known is None)
    return is_ours


def _keep(tx: Connection, token: str, *, is_new: bool) -> None:
    if is_new:
        tx.execute(insert(meta).values(name=NAME, value=token))
    else:
        tx.execute(update(meta).where(meta.c.name == NAME).values(value=token))


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
