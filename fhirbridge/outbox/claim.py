"""Lease a lane and find whose turn it is. One worker for a lane; the fence proves which."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from fhirbridge.errors import BridgeError
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.outbox.states import BLOCKED, EDITED, OPEN, POISON, STUCK, UNCERTAIN, State
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, destination, lane, ledger

LEASE = timedelta(seconds=60)  # twice the longest exchange
NO_LEASE = ""


class FencedError(BridgeError):
    """The lease ended and another worker took the lane; what this one learned is dropped."""

    code = "E302"


class LaneName(NamedTuple):
    """One destination and one patient (or what all share): deliveries of a lane go in order."""

    destination: str
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One pinned resource version of a delivery."""

    position: int
    identity: Identity
    resource: str
    digest: str
    outcome: str


def due_lanes(tx: Connection, now: datetime, only: Container[str] | None = None) -> list[LaneName]:
    """Return lanes with something due and no live lease: shared ones first, then the oldest.

    `only` names the deliveries that are meant, where it is not all of them.
    """
    text = moment.to_text(now)
    before = delivery.alias()
    # A head that waits for its time keeps its lane: no need to lease it to find that out.
    waits_first = (
        select(before.c.id)
        .where(
            before.c.destination == delivery.c.destination,
            before.c.lane == delivery.c.lane,
            before.c.state.in_(OPEN),
            before.c.due_at > text,
            or_(before.c.sequence < delivery.c.sequence, before.c.state.in_(UNCERTAIN)),
        )
        .exists()
    )
    chosen = (
        select(delivery.c.id, delivery.c.destination, delivery.c.lane)
        .join(
            lane,
            (lane.c.destination == delivery.c.destination) & (lane.c.lane == delivery.c.lane),
        )
        .join(destination, destination.c.name == delivery.c.destination)
        .where(
            delivery.c.state.in_(OPEN),
            delivery.c.due_at <= text,
            ~_is_blocked(),
            ~waits_first,
            _is_free(now),
            destination.c.paused == "",
            ~pauses.stops_delivery(),
        )
        .order_by(delivery.c.lane != SHARED_LANE, delivery.c.created_at)
    )
    rows = [row for row in tx.execute(chosen) if only is None or row.id in only]
    return list(dict.fromkeys(LaneName(row.destination, row.lane) for row in rows))


def lease(tx: Connection, name: LaneName, now: datetime) -> int | None:
    """Take the lane by one compare-and-swap; return the fence, or None where another has it."""
    taken = (
        update(lane)
        .where(*_is(name), _is_free(now))
        .values(fence=lane.c.fence + 1, leased_until=moment.to_text(now + LEASE))
        .returning(lane.c.fence)
    )
    return tx.execute(taken).scalar_one_or_none()


def check_fence(tx: Connection, name: LaneName, fence: int, now: datetime) -> None:
    """Renew the lease of this fence. Raises FencedError where the lane went to another worker."""
    renewed = (
        update(lane)
        .where(*_is(name), lane.c.fence == fence, lane.c.leased_until != NO_LEASE)
        .values(leased_until=moment.to_text(now + LEASE))
    )
    if tx.execute(renewed).rowcount != 1:
        raise FencedError("another worker has this lane now")


def release(tx: Connection, name: LaneName, fence: int) -> None:
    """Give the lane back, if this fence still holds it."""
    tx.execute(update(lane).where(*_is(name), lane.c.fence == fence).values(leased_until=NO_LEASE))


def next_in_lane(tx: Connection, name: LaneName, now: datetime) -> Row[Any] | None:
    """Return the delivery whose turn it is, or None while the head must wait.

    What may be under way comes first, whatever its place: nothing is sent beside it.
    """
    if pauses.is_put(tx, *name):
        return None
    chosen = (
        select(delivery)
        .where(
            delivery.c.destination == name.destination,
            delivery.c.lane == name.lane,
            delivery.c.state.in_(OPEN),
            ~_is_blocked(),
        )
        .order_by(delivery.c.state.not_in(UNCERTAIN), delivery.c.sequence)
        .limit(1)
    )
    head = tx.execute(chosen).one_or_none()
    if head is None or head.due_at > moment.to_text(now) or _shared_is_open(tx, head):
        return None
    return head


def items(tx: Connection, delivery_id: str) -> list[Item]:
    """Return what a delivery carries, in order."""
    chosen = (
        select(delivery_item)
        .where(delivery_item.c.delivery_id == delivery_id)
        .order_by(delivery_item.c.position)
    )
    return [
        Item(
            position=r.position,
            identity=Identity(r.type, r.resource_id),
            resource=r.resource,
            digest=r.digest,
            outcome=r.outcome,
        )
        for r in tx.execute(chosen)
    ]


def undelivered_before(tx: Connection, row: Row[Any]) -> dict[Identity, str]:
    """Return what deliveries before this one owe and the EHR does not have: to the delivery's id.

    An open one stands before this one only where it waits for a stuck one itself. What a superseded
    one owed comes with the delivery that replaced it.
    """
    same_lane = (delivery.c.lane == row.lane) & (delivery.c.sequence < row.sequence)
    shared = (delivery.c.lane == SHARED_LANE) & (delivery.c.sequence <= row.needs_shared)
    chosen = (
        select(delivery.c.id, delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .outerjoin(
            ledger,
            (ledger.c.destination == delivery.c.destination)
            & (ledger.c.type == delivery_item.c.type)
            & (ledger.c.resource_id == delivery_item.c.resource_id),
        )
        .where(
            delivery.c.destination == row.destination,
            delivery.c.state.in_([*STUCK, *OPEN, State.SUPERSEDED]),
            same_lane | shared,
            ledger.c.ehr_id.is_(None),
        )
    )
    return {Identity(r.type, r.resource_id): r.id for r in tx.execute(chosen)}


def left_in_doubt(tx: Connection, row: Row[Any]) -> frozenset[Identity]:
    """Return what an earlier delivery may have brought of which nobody learned the outcome.

    One that stopped its worker again and again was set aside without having been read back; of one
    that somebody edited, something is there that the ledger does not know.
    """
    chosen = (
        select(delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == row.destination,
            delivery.c.lane == row.lane,
            delivery.c.sequence < row.sequence,
            delivery.c.state.in_(STUCK),
            or_(delivery.c.reason.startswith(POISON), delivery.c.reason.startswith(EDITED)),
        )
    )
    return frozenset(Identity(r.type, r.resource_id) for r in tx.execute(chosen))


def delivered_later(tx: Connection, row: Row[Any]) -> frozenset[Identity]:
    """Return what a later delivery of this lane brought: older versions of it stay unsent."""
    chosen = (
        select(delivery_item.c.type, delivery_item.c.resource_id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == row.destination,
            delivery.c.lane == row.lane,
            delivery.c.sequence > row.sequence,
            delivery.c.state == State.DELIVERED,
        )
    )
    return frozenset(Identity(r.type, r.resource_id) for r in tx.execute(chosen))


def _shared_is_open(tx: Connection, head: Row[Any]) -> bool:
    """Say whether what this one may name, Practitioner and the like, is still under way."""
    if head.lane == SHARED_LANE:
        return False
    waiting = select(delivery.c.id).where(
        delivery.c.destination == head.destination,
        delivery.c.lane == SHARED_LANE,
        delivery.c.sequence <= head.needs_shared,
        delivery.c.state.in_(OPEN),
        ~_is_blocked(),
    )
    return tx.execute(waiting.limit(1)).first() is not None


def count_run(tx: Connection, delivery_id: str) -> None:
    """Count a run before it is tried, so that a delivery which kills its worker is found."""
    counted = update(delivery).where(delivery.c.id == delivery_id)
    tx.execute(counted.values(runs=delivery.c.runs + 1))


def _is_free(now: datetime) -> ColumnElement[bool]:
    """Say whether a lane has no live lease; one that ends too late was given by a wrong clock."""
    longest = moment.to_text(now + LEASE)
    return or_(lane.c.leased_until <= moment.to_text(now), lane.c.leased_until > longest)


def _is_blocked() -> ColumnElement[bool]:
    return and_(delivery.c.state == State.PENDING, delivery.c.reason.startswith(BLOCKED))


def _is(name: LaneName) -> tuple[Any, Any]:
    return lane.c.destination == name.destination, lane.c.lane == name.lane
