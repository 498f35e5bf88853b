"""What the other deliveries of a lane owe, brought, or left in doubt."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, or_, select

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
    asked = {**_at(row), "of_id": row.id, "up_to_shared": row.needs_shared}
    rows = tx.execute(_undelivered_before(), asked).all()
    coming = {Identity(r.type, r.resource_id): r.id for r in rows if r.state != State.SUPERSEDED}
    owed = {Identity(r.type, r.resource_id): r.id for r in rows if r.before}
    return {one: coming.get(one, owing) for one, owing in owed.items()}


def _at(row: Row[Any]) -> dict[str, Any]:
    """Return where a delivery stands, as the questions below ask by it."""
    return {"of_ehr": row.destination, "of_lane": row.lane, "of_place": row.sequence}


# Each question is built once: it is asked of each delivery that goes.


@cache
def _undelivered_before() -> Select[Any]:
    first = delivery.c.repairs
    same_lane = (delivery.c.lane == bindparam("of_lane")) & (
        (delivery.c.sequence < bindparam("of_place")) | first
    )
    shared = (delivery.c.lane == SHARED_LANE) & (
        (delivery.c.sequence <= bindparam("up_to_shared")) | first
    )
    return (
        select(delivery.c.id, delivery.c.state, delivery_item.c.type, delivery_item.c.resource_id)
        .add_columns(or_(same_lane, shared).label("before"))
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .outerjoin(ledger, _is_there())
        .where(
            delivery.c.destination == bindparam("of_ehr"),
            delivery.c.id != bindparam("of_id"),
            delivery.c.state.in_([*STUCK, *OPEN, State.SUPERSEDED]),
            delivery.c.lane.in_([bindparam("of_lane"), SHARED_LANE]),  # by which it is found
            (delivery.c.lane == bindparam("of_lane")) | shared,
            ledger.c.ehr_id.is_(None),
        )
        .order_by(delivery.c.sequence.desc())
    )


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
    found = tx.execute(_left_in_doubt(), _at(row))
    return frozenset(Identity(r.type, r.resource_id) for r in found)


@cache
def _left_in_doubt() -> Select[Any]:
    return (
        select(delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == bindparam("of_ehr"),
            delivery.c.lane == bindparam("of_lane"),
            delivery.c.sequence < bindparam("of_place"),
            delivery.c.state.in_(STUCK),
            or_(
                *(delivery.c.reason.startswith(one) for one in IN_DOUBT),
                delivery_item.c.outcome == Became.SENT,
            ),
        )
    )


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
    found = tx.execute(_delivered_later(), _at(row))
    return frozenset(Identity(r.type, r.resource_id) for r in found)


@cache
def _delivered_later() -> Select[Any]:
    return (
        select(delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == bindparam("of_ehr"),
            delivery.c.lane == bindparam("of_lane"),
            delivery.c.sequence > bindparam("of_place"),
            delivery.c.repairs.is_(False),
            or_(
                delivery.c.state == State.DELIVERED,
                delivery_item.c.outcome.in_([*LANDED, *NOT_AS_ITSELF, Became.UNCHANGED]),
            ),
        )
    )


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
