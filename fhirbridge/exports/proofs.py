"""The evidence of what an export holds: each row with the proof that it is in the signed log."""

from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, select

from fhirbridge.audit import checkpoints, places
from fhirbridge.audit.checkpoints import Signed
from fhirbridge.audit.log import Action
from fhirbridge.exports.holdings import some_of
from fhirbridge.exports.question import ExportError
from fhirbridge.fhir import codec
from fhirbridge.overview import proof
from fhirbridge.store.evidence_tables import evidence_place
from fhirbridge.store.tables import evidence

NODES_IN_MEMORY = 100_000
SEALED = "sealed"  # outcome of the row that names the bytes of an export


def rows(
    tx: Connection,
    signed: Signed,
    *,
    destination: str,
    records: Collection[str],
    deliveries: Collection[str],
    own: Collection[str],
) -> Iterator[dict[str, Any]]:
    """Yield the rows about these records and deliveries, and those of these ids, to a checkpoint.

    In the order of the log. Rows of other destinations are left out.
    """
    about = ((evidence.c.record_id, records), (evidence.c.delivery_id, deliveries))
    numbers = sorted(
        number
        for number in {
            number
            for column, ids in (*about, (evidence.c.id, own))
            for number in _numbers(tx, column, ids, destination)
        }
        if number < signed.size
    )
    node = lru_cache(NODES_IN_MEMORY)(places.node_of(tx))  # neighbours share most of theirs
    for some in some_of(numbers):
        chosen = _placed(signed).where(evidence_place.c.number.in_(some))
        for row in tx.execute(chosen.order_by(evidence_place.c.number)):
            yield {**proof.leaf_fields(row), **proof.place(tx, row.id, signed.size, node)}


def sealed_before(tx: Connection, signed: Signed, question: str, content: str) -> list[str]:
    """Return the ids of the rows of the last export with this question and content.

    Raises ExportError where a checkpoint knows none.
    """
    for row in _exports(tx, signed, question):
        said = codec.decode(row.detail.encode())
        if row.outcome == SEALED and said.get("content") == content:
            return [one.id for one in _exports(tx, signed, str(said["export"]))]
    raise ExportError(
        "what the destination holds, or what may be exported of it, is not as it was at that "
        "checkpoint",
        hint="make a new export, without --at-checkpoint",
    )


def checkpoint_of(tx: Connection, size: int) -> Signed:
    """Return the first checkpoint of so many rows. Raises ExportError."""
    for one in checkpoints.every(tx):
        if one.size == size:
            return one
    raise ExportError(
        f"no checkpoint has {size} rows", hint="fhirbridge audit checkpoints lists them"
    )


def _numbers(
    tx: Connection, column: ColumnElement[str], ids: Collection[str], destination: str
) -> Iterator[int]:
    for some in some_of(sorted(ids)):
        chosen = (
            select(evidence_place.c.number)
            .join(evidence, evidence.c.id == evidence_place.c.id)
            .where(column.in_(some), evidence.c.destination.in_(["", destination]))
        )
        yield from tx.scalars(chosen)


def _exports(tx: Connection, signed: Signed, named: str) -> list[Row[Any]]:
    """Return the rows about exports that name this export or question, the last one first."""
    chosen = _placed(signed).where(
        evidence.c.action == Action.RESOURCES_EXPORTED,
        evidence.c.detail.contains(f'"{named}"', autoescape=True),
    )
    return list(tx.execute(chosen.order_by(evidence_place.c.number.desc())))


def _placed(signed: Signed) -> Select[Any]:
    return (
        select(evidence_place.c.number, evidence)
        .join(evidence, evidence.c.id == evidence_place.c.id)
        .where(evidence_place.c.number < signed.size)
    )
