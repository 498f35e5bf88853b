"""What the other deliveries of a lane owe, brought, or left in doubt."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select

from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.outbox.states import (
    IN_DOUBT,
    LANDED,
    NOT_AS_ITSELF,
    OPEN,
    STUCK,
    Became,
    State,
)
from fhirbridge.store.tables import delivery, delivery_item, ledger


def undelivered_before(tx: Connection, row: Row[Any]) -> dict[Identity, str]:
    """Return what deliveries before this one owe and the EHR does not have: to the delivery's id.

    An open one stands before this one only where it waits for a stuck one itself. What a superseded
    one owed comes with the delivery that replaced it, which is the one to wait for. A repair goes
    before all that needs it, wherever it stands, and waits for nothing: what it brings was there
    before.
    """
    if row.repairs:
        return {}
    first = delivery.c.repairs
    same_lane = (delivery.c.lane == row.lane) & ((delivery.c.sequence < row.sequence) | first)
    shared = (delivery.c.lane == SHARED_LANE) & ((delivery.c.sequence <= row.needs_shared) | first)
    chosen = (
        select(delivery.c.id, delivery.c.state, delivery_item.c.type, delivery_item.c.resource_id)
        .add_columns(or_(same_lane, shared).label("before"))
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .outerjoin(ledger, _is_there())
        .where(
            delivery.c.destination == row.destination,
            delivery.c.id != row.id,
            delivery.c.state.in_([*STUCK, *OPEN, State.SUPERSEDED]),
            (delivery.c.lane == row.lane) | shared,
            ledger.c.ehr_id.is_(None),
        )
        .order_by(delivery.c.sequence.desc())
    )
    rows = tx.execute(chosen).all()
    coming = {Identity(r.type, r.resource_id): r.id for r in rows if r.state != State.SUPERSEDED}
    owed = {Identity(r.type, r.resource_id): r.id for r in rows if r.before}
    return {one: coming.get(one, owing) for one, owing in owed.items()}


def waiting_before(tx: Connection, row: Row[Any], types: Sequence[str]) -> dict[str, str]:
    """Return resources of these types that earlier deliveries of this lane still owe.

    Resource row to the delivery's id; what the EHR has in any version is not among them.
    """
    chosen = (
        select(delivery.c.id, delivery_item.c.resource)
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .outerjoin(ledger, _is_there())
        .where(
            delivery.c.destination == row.destination,
            delivery.c.lane == row.lane,
            delivery.c.sequence < row.sequence,
            delivery.c.state.in_([*STUCK, *OPEN]),
            delivery_item.c.type.in_(types),
            # What is carried a note says that the EHR has.
            delivery_item.c.outcome.not_in([Became.UNCHANGED, Became.SUPERSEDED, Became.CARRIED]),
            ledger.c.ehr_id.is_(None),
        )
    )
    return {r.resource: r.id for r in tx.execute(chosen)}


def left_in_doubt(tx: Connection, row: Row[Any]) -> frozenset[Identity]:
    """Return what an earlier delivery may have brought of which nobody learned the outcome.

    One that stopped its worker again and again was set aside without having been read back; of one
    that somebody edited, or that was shown as another, something may be there unknown; and what
    went out unheard may be.
    """
    chosen = (
        select(delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == row.destination,
            delivery.c.lane == row.lane,
            delivery.c.sequence < row.sequence,
            delivery.c.state.in_(STUCK),
            or_(
                *(delivery.c.reason.startswith(one) for one in IN_DOUBT),
                delivery_item.c.outcome == Became.SENT,
            ),
        )
    )
    return frozenset(Identity(r.type, r.resource_id) for r in tx.execute(chosen))


def went_unheard() -> ColumnElement[bool]:
    """Say of a delivery whether something of it went out and nobody knows yet what came of it.

    So of one that is pending, too: where it is read back in parts, and an answer ended half way.
    """
    return (
        select(delivery_item.c.delivery_id)
        .where(delivery_item.c.delivery_id == delivery.c.id, delivery_item.c.outcome == Became.SENT)
        .exists()
    )


def delivered_later(tx: Connection, row: Row[Any]) -> frozenset[Identity]:
    """Return what a later delivery of this lane brought: older versions of it stay unsent.

    One that was refused in part brought the rest. What a repair brought is not newer, though it
    came later.
    """
    chosen = (
        select(delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == row.destination,
            delivery.c.lane == row.lane,
            delivery.c.sequence > row.sequence,
            delivery.c.repairs.is_(False),
            or_(
                delivery.c.state == State.DELIVERED,
                delivery_item.c.outcome.in_([*LANDED, *NOT_AS_ITSELF, Became.UNCHANGED]),
            ),
        )
    )
    return frozenset(Identity(r.type, r.resource_id) for r in tx.execute(chosen))


def went_by(tx: Connection, row: Row[Any], there: Identity) -> str:
    """Return by which link to a patient of the EHR's own something last went there, or ""."""
    chosen = (
        select(delivery_item.c.link)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == row.destination,
            delivery.c.lane == row.lane,
            delivery_item.c.type == there.type,
            delivery_item.c.resource_id == there.id,
            delivery_item.c.outcome.in_(LANDED),
        )
        .order_by(delivery.c.sequence.desc())
    )
    return tx.scalar(chosen.limit(1)) or ""


def _is_there() -> ColumnElement[bool]:
    same = (ledger.c.type == delivery_item.c.type) & (
        ledger.c.destination == delivery.c.destination
    )
    return and_(same, ledger.c.resource_id == delivery_item.c.resource_id)
