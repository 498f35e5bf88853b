"""Gives evidence rows their places in the tree, and reads proofs out of it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from fhirbridge.audit import tree
from fhirbridge.store.evidence_tables import evidence_node, evidence_place, evidence_waiting
from fhirbridge.store.tables import evidence

ROWS_AT_ONCE = 500
_WAITS = insert(evidence_waiting)  # built once


def wait(tx: Connection, row_id: str) -> None:
    """Let a new row wait for its place, in the transaction that writes it."""
    tx.execute(_WAITS, {"id": row_id})


def size(tx: Connection) -> int:
    """Return how many rows have a place."""
    last = tx.scalar(select(func.max(evidence_place.c.number)))
    return 0 if last is None else last + 1


def give(tx: Connection) -> int:
    """Give the next rows that wait their places, by time and then id; return how many.

    The caller's transaction keeps other writers out, so that there is one sequencer.
    """
    waiting = (
        select(evidence.c.id, evidence.c.leaf)
        .join(evidence_waiting, evidence_waiting.c.id == evidence.c.id)
        .order_by(evidence.c.at, evidence.c.id)
        .limit(ROWS_AT_ONCE)
    )
    rows = tx.execute(waiting).all()
    if not rows:
        return 0
    made: dict[tuple[int, int], bytes] = {}
    stored = node_of(tx)

    def node(level: int, number: int) -> bytes:
        return made.get((level, number)) or stored(level, number)

    first = size(tx)
    for number, row in enumerate(rows, first):
        for level, index, digest in tree.completed(number, bytes.fromhex(row.leaf), node):
            made[level, index] = digest
    places = [{"number": number, "id": row.id} for number, row in enumerate(rows, first)]
    tx.execute(insert(evidence_place), places)
    nodes = [{"level": of[0], "number": of[1], "hash": digest} for of, digest in made.items()]
    tx.execute(insert(evidence_node), nodes)
    tx.execute(delete(evidence_waiting).where(evidence_waiting.c.id.in_([r.id for r in rows])))
    return len(rows)


def node_of(tx: Connection) -> tree.Node:
    """Return how the stored tree is read."""

    def node(level: int, number: int) -> bytes:
        chosen = select(evidence_node.c.hash).where(
            evidence_node.c.level == level, evidence_node.c.number == number
        )
        return bytes(tx.execute(chosen).scalar_one())

    return node


def place(tx: Connection, row_id: str) -> int | None:
    """Return the place of one row; None while it waits."""
    chosen = select(evidence_place.c.number).where(evidence_place.c.id == row_id)
    return tx.execute(chosen).scalar_one_or_none()


def damage(tx: Connection, leaf_of_row: Callable[[Any], str], until: int) -> str:
    """Name the first of `until` placed rows that is not what the stored tree was made of, or ""."""
    chosen = (
        select(evidence_place.c.number, evidence_node.c.hash, evidence)
        .join(evidence, evidence.c.id == evidence_place.c.id, isouter=True)
        .join(
            evidence_node,
            (evidence_node.c.level == 0) & (evidence_node.c.number == evidence_place.c.number),
            isouter=True,
        )
        .where(evidence_place.c.number < until)
        .order_by(evidence_place.c.number)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    expected = 0
    for row in tx.execute(chosen):
        if row.number != expected:
            return f"row number {expected} is missing"
        if row.id is None:
            return f"row number {expected} was removed"
        leaf = leaf_of_row(row)
        if leaf != row.leaf or row.hash is None or leaf != bytes(row.hash).hex():
            return f"row number {expected} ({row.id}) was changed"
        expected += 1
    return "" if expected == until else f"row number {expected} is missing"
