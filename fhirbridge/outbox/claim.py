"""Lease a lane and find whose turn it is. One worker for a lane; the fence proves which."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from fhirbridge.errors import BridgeError
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.outbox.states import (
    BLOCKED,
    IN_DOUBT,
    LANDED,
    OPEN,
    STUCK,
    UNCERTAIN,
    Became,
    State,
)
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, lane, ledger
from fhirbridge.store.tables import destination as destinations

LEASE = timedelta(seconds=60)  # twice the longest exchange
AT_WORK = timedelta(seconds=35)  # the longest exchange, and a little
NO_LEASE = ""
ROWS_AT_ONCE = 20


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
    reason: str


def due_lanes(
    tx: Connection,
    now: datetime,
    *,
    destination: str = "",
    most: int | None = None,
    only: Container[str] | None = None,
) -> list[LaneName]:
    """Return lanes in which something can go now, in the order in which they should.

    What all share comes first, then what is live, then backfills; among equals the oldest. Of one
    destination or, where none is named, of all; `only` names the deliveries that are meant, where
    it is not all of them.
    """
    names = [destination] if destination else list(tx.scalars(select(destinations.c.name)))
    found: dict[LaneName, None] = {}
    for name in names:
        shared = _first_open_shared(tx, name)
        asked = {"of_ehr": name, "open_shared": shared, **_at(now)}
        for chosen in _due(waits_for_shared=shared is not None):
            rows = tx.execute(chosen, asked)
            for row in rows:
                if only is None or row.id in only:
                    found[LaneName(name, row.lane)] = None
                if most is not None and len(found) >= most:
                    rows.close()
                    return list(found)
    return list(found)


@cache
def _due(*, waits_for_shared: bool) -> tuple[Select[Any], ...]:
    """Choose what can go: it is due, nothing before it waits, and nobody has its lane."""
    before = delivery.alias()
    # A head that waits for its time keeps its lane: no need to lease it to find that out.
    waits_first = (
        select(before.c.id)
        .where(
            before.c.destination == delivery.c.destination,
            before.c.lane == delivery.c.lane,
            before.c.state.in_(OPEN),
            before.c.due_at > bindparam("now"),
            or_(before.c.sequence < delivery.c.sequence, before.c.state.in_(UNCERTAIN)),
        )
        .exists()
    )
    due = (
        select(delivery.c.id, delivery.c.lane)
        .join(
            lane,
            (lane.c.destination == delivery.c.destination) & (lane.c.lane == delivery.c.lane),
        )
        .where(
            delivery.c.destination == bindparam("of_ehr"),
            # Joined to nothing, so that no index of due times is used: it would have to be sorted.
            delivery.c.due_at.concat("") <= bindparam("now"),
            ~_is_blocked(),
            ~waits_first,
            _is_free(),
            select(destinations.c.name)
            .where(destinations.c.name == bindparam("of_ehr"), destinations.c.paused == "")
            .exists(),
            ~pauses.stops_delivery(),
        )
        .order_by(delivery.c.low, delivery.c.created_at)
        .execution_options(yield_per=ROWS_AT_ONCE)
    )
    if waits_for_shared:
        early = delivery.c.needs_shared < bindparam("open_shared")
        due = due.where(or_(delivery.c.lane == SHARED_LANE, early))
    # One state, not a list: then the index gives the order, and the first rows are enough.
    return (
        due.where(delivery.c.lane == SHARED_LANE, delivery.c.state.in_(OPEN)),
        due.where(delivery.c.state.in_(UNCERTAIN)),
        due.where(delivery.c.state == State.PENDING),
    )


def _first_open_shared(tx: Connection, name: str) -> int | None:
    """Return the place of the first shared delivery that may still go: what may name it waits."""
    found: int | None = tx.scalar(_open_shared(), {"of_ehr": name})
    return found


@cache
def _open_shared() -> Select[Any]:
    chosen = select(delivery.c.sequence).where(
        delivery.c.destination == bindparam("of_ehr"),
        delivery.c.lane == SHARED_LANE,
        delivery.c.state.in_(OPEN),
        ~_is_blocked(),
    )
    return chosen.order_by(delivery.c.sequence).limit(1)


def lease(tx: Connection, name: LaneName, now: datetime) -> int | None:
    """Take the lane by one compare-and-swap; return the fence, or None where another has it.

    None too where the destination has as many lanes at work as it may have.
    """
    taken = (
        update(lane)
        .where(*_is(name), _is_free(), _has_room(name, now))
        .values(fence=lane.c.fence + 1, leased_until=moment.to_text(now + LEASE))
        .returning(lane.c.fence)
    )
    return tx.execute(taken, _at(now)).scalar_one_or_none()


def fence_of(tx: Connection, name: LaneName) -> int:
    """Return the fence of who has the lane, or had it last."""
    return int(tx.execute(select(lane.c.fence).where(*_is(name))).scalar_one())


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
    head = tx.execute(_head(), {"of_ehr": name.destination, "of_lane": name.lane}).one_or_none()
    if head is None or head.due_at > moment.to_text(now) or _shared_is_open(tx, head):
        return None
    return head


@cache
def _head() -> Select[Any]:
    chosen = select(delivery).where(
        delivery.c.destination == bindparam("of_ehr"),
        delivery.c.lane == bindparam("of_lane"),
        delivery.c.state.in_(OPEN),
        ~_is_blocked(),
    )
    return chosen.order_by(delivery.c.state.not_in(UNCERTAIN), delivery.c.sequence).limit(1)


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
            reason=r.reason,
        )
        for r in tx.execute(chosen)
    ]


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
            delivery_item.c.outcome.not_in([Became.UNCHANGED, Became.SUPERSEDED]),
            ledger.c.ehr_id.is_(None),
        )
    )
    return {r.resource: r.id for r in tx.execute(chosen)}


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
            or_(*(delivery.c.reason.startswith(one) for one in IN_DOUBT)),
        )
    )
    return frozenset(Identity(r.type, r.resource_id) for r in tx.execute(chosen))


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
                delivery_item.c.outcome.in_([*LANDED, Became.UNCHANGED]),
            ),
        )
    )
    return frozenset(Identity(r.type, r.resource_id) for r in tx.execute(chosen))


def _shared_is_open(tx: Connection, head: Row[Any]) -> bool:
    """Say whether what this one may name, Practitioner and the like, is still under way."""
    if head.lane == SHARED_LANE:
        return False
    first = _first_open_shared(tx, head.destination)
    return first is not None and first <= head.needs_shared


def count_run(tx: Connection, delivery_id: str) -> None:
    """Count a run before it is tried, so that a delivery which kills its worker is found."""
    counted = update(delivery).where(delivery.c.id == delivery_id)
    tx.execute(counted.values(runs=delivery.c.runs + 1))


def _is_free() -> ColumnElement[bool]:
    """Say whether a lane has no live lease; one that ends too late was given by a wrong clock."""
    return or_(lane.c.leased_until <= bindparam("now"), lane.c.leased_until > bindparam("longest"))


def _at(now: datetime) -> dict[str, str]:
    """Return what the questions about leases ask by."""
    return {"now": moment.to_text(now), "longest": moment.to_text(now + LEASE)}


def _has_room(name: LaneName, now: datetime) -> ColumnElement[bool]:
    """Say whether one more lane may be at work.

    Whoever is at work has renewed its lease within the longest exchange; the others are dead.
    """
    other = lane.alias()
    at_work = (
        select(func.count())
        .select_from(other)
        .where(
            other.c.destination == name.destination,
            other.c.leased_until > moment.to_text(now + LEASE - AT_WORK),
            other.c.leased_until <= moment.to_text(now + LEASE),
        )
        .scalar_subquery()
    )
    most = select(destinations.c.concurrent).where(destinations.c.name == name.destination)
    return at_work < most.scalar_subquery()


def _is_blocked() -> ColumnElement[bool]:
    return and_(delivery.c.state == State.PENDING, delivery.c.reason.startswith(BLOCKED))


def _is_there() -> ColumnElement[bool]:
    same = (ledger.c.type == delivery_item.c.type) & (
        ledger.c.destination == delivery.c.destination
    )
    return and_(same, ledger.c.resource_id == delivery_item.c.resource_id)


def _is(name: LaneName) -> tuple[Any, Any]:
    return lane.c.destination == name.destination, lane.c.lane == name.lane
