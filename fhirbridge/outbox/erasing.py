"""What of a purged record is erased, and which of its resources others still build on."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select, update

from fhirbridge.outbox.contents import CONTRIBUTIONS, OUTDATED, SHARED_LANE, STATEMENTS
from fhirbridge.outbox.states import State
from fhirbridge.store.tables import delivery, delivery_item, ledger, record, resource

SETTLED = (State.DELIVERED, State.SUPERSEDED)


def is_unsettled(tx: Connection, ids: Collection[str], *, since: str) -> bool:
    """Say whether a delivery of these records, or with a resource of theirs, is not through.

    One that ended after `since` counts as not through: its record changed then.
    """
    open_one = or_(delivery.c.state.not_in(SETTLED), delivery.c.changed_at > since)
    own = select(delivery.c.id).where(delivery.c.record_id.in_(ids), open_one)
    carried = (
        select(delivery.c.id)
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .where(resource.c.record_id.in_(ids), delivery.c.state.not_in(SETTLED))
    )
    return any(tx.execute(one.limit(1)).first() is not None for one in (own, carried))


def shared(tx: Connection, ids: Collection[str]) -> list[Row[Any]]:
    """Return what these records said of what all patients share."""
    chosen = select(resource).where(resource.c.record_id.in_(ids), resource.c.lane == SHARED_LANE)
    return list(tx.execute(chosen))


def in_force(tx: Connection, rows: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Return those that some destination is known to hold."""
    chosen = select(ledger.c.resource).where(ledger.c.resource.in_([one.id for one in rows]))
    held = frozenset(tx.scalars(chosen))
    return [one for one in rows if one.id in held]


def heir(tx: Connection, one: Row[Any], ids: Collection[str]) -> Row[Any] | None:
    """Return the same content of the same resource in a record that is kept, or None."""
    chosen = _of_others(one, ids).where(
        resource.c.digest == one.digest, resource.c.purpose.in_((*CONTRIBUTIONS, OUTDATED))
    )
    return tx.execute(chosen.order_by(resource.c.sequence.desc()).limit(1)).one_or_none()


def is_said_by_others(tx: Connection, one: Row[Any], ids: Collection[str]) -> bool:
    """Say whether a record that is kept says anything of the same resource."""
    chosen = _of_others(one, ids).where(resource.c.purpose.in_(STATEMENTS))
    return tx.execute(chosen.limit(1)).first() is not None


def hand_on(tx: Connection, heirs: Mapping[str, Row[Any]]) -> None:
    """Let deliveries that are through name the same content in another record.

    `heirs` by the row that goes. What was brought last is compared with what an EHR shows.
    """
    for row_id, one in heirs.items():
        brought = update(delivery_item).where(delivery_item.c.resource == row_id)
        tx.execute(brought.values(resource=one.id))


def erase(tx: Connection, ids: Collection[str]) -> int:
    """Take the bodies of all that these records became; rows and digests stay. Count them."""
    gone = update(resource).where(resource.c.record_id.in_(ids))
    return tx.execute(gone.values(sealed=b"", sealed_why=b"")).rowcount


def _of_others(one: Row[Any], ids: Collection[str]) -> Any:
    return (
        select(resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(
            resource.c.type == one.type,
            resource.c.resource_id == one.resource_id,
            resource.c.overlay == one.overlay,
            resource.c.record_id.not_in(ids),
            record.c.purged_at == "",
        )
    )
