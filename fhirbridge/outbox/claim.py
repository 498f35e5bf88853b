"""Lease a lane and find whose turn it is. One worker for a lane; the fence proves which."""

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import takewhile
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from fhirbridge.errors import BridgeError
from fhirbridge.outbox import pauses
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.outbox.states import (
    BLOCKED,
    OPEN,
    UNCERTAIN,
    State,
)
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, lane
from fhirbridge.store.tables import destination as destinations

LEASE = timedelta(seconds=60)  # twice the longest exchange
AT_WORK = timedelta(seconds=35)  # the longest exchange, and a little
NO_LEASE = ""
ROWS_AT_ONCE = 20
# Built once: it is asked several times for each delivery.
_ITEMS = (
    select(delivery_item)
    .where(delivery_item.c.delivery_id == bindparam("of_delivery"))
    .order_by(delivery_item.c.position)
)
SUSPECT_RUNS = 2  # begun so often without an end: it may be what stops its worker


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
    decided: int  # up to which decision about the EHR's own it last went


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


def lease(
    tx: Connection,
    name: LaneName,
    now: datetime,
    *,
    beside: Collection[str] = (),
    places: int = 0,
    ahead: bool = False,
) -> int | None:
    """Take the lane by one compare-and-swap; return the fence, or None where another has it.

    None too where the destination has as many lanes at work as it may have. `beside`: lanes of who
    asks, who uses so many `places` for all of them. `ahead`: it may be one too many.
    """
    asked: dict[str, Any] = {"of_ehr": name.destination, "of_lane": name.lane, **_at(now)}
    asked["until"] = moment.to_text(now + LEASE)
    if not ahead:
        since = moment.to_text(now + LEASE - AT_WORK)
        asked |= {"at_work_since": since, "beside": list(beside), "places": places}
    fence: int | None = tx.execute(_leased(ahead=ahead), asked).scalar_one_or_none()
    return fence


@cache
def _leased(*, ahead: bool) -> ReturningUpdate[Any]:
    taken = update(lane).where(
        lane.c.destination == bindparam("of_ehr"), lane.c.lane == bindparam("of_lane"), _is_free()
    )
    if not ahead:
        taken = taken.where(_has_room())
    leased = taken.values(fence=lane.c.fence + 1, leased_until=bindparam("until"))
    return leased.returning(lane.c.fence)


def fence_of(tx: Connection, name: LaneName) -> int:
    """Return the fence of who has the lane, or had it last."""
    return int(tx.execute(select(lane.c.fence).where(*_is(name))).scalar_one())


def check_fence(tx: Connection, name: LaneName, fence: int, now: datetime) -> None:
    """Renew the lease of this fence. Raises FencedError where the lane went to another worker."""
    held = {"of_ehr": name.destination, "of_lane": name.lane, "held": fence}
    if tx.execute(_renewed(), {**held, "until": moment.to_text(now + LEASE)}).rowcount != 1:
        raise FencedError("another worker has this lane now")


@cache
def _renewed() -> Update:
    mine = (
        lane.c.destination == bindparam("of_ehr"),
        lane.c.lane == bindparam("of_lane"),
        lane.c.fence == bindparam("held"),
        lane.c.leased_until != NO_LEASE,
    )
    return update(lane).where(*mine).values(leased_until=bindparam("until"))


def release(tx: Connection, name: LaneName, fence: int) -> None:
    """Give the lane back, if this fence still holds it."""
    held = {"of_ehr": name.destination, "of_lane": name.lane, "held": fence}
    tx.execute(_released(), held)


@cache
def _released() -> Update:
    mine = (
        lane.c.destination == bindparam("of_ehr"),
        lane.c.lane == bindparam("of_lane"),
        lane.c.fence == bindparam("held"),
    )
    return update(lane).where(*mine).values(leased_until=NO_LEASE)


def next_in_lane(tx: Connection, name: LaneName, now: datetime, *, most: int = 1) -> list[Row[Any]]:
    """Return the deliveries whose turn it is, in their order; none while the head must wait.

    What may be under way comes first, whatever its place: nothing is sent beside it. It goes for
    itself, as does what was begun before and had no end.
    """
    if pauses.is_put(tx, *name):
        return []
    asked = {"of_ehr": name.destination, "of_lane": name.lane, "most": most}
    few = tx.execute(_head(), asked).all()
    fresh = [row.state == State.PENDING and row.runs == 0 for row in few]
    few = few[: max(fresh.index(False), 1)] if False in fresh else few
    at = moment.to_text(now)
    return list(takewhile(lambda row: row.due_at <= at and not _shared_is_open(tx, row), few))


@cache
def _head() -> Select[Any]:
    chosen = select(delivery).where(
        delivery.c.destination == bindparam("of_ehr"),
        delivery.c.lane == bindparam("of_lane"),
        delivery.c.state.in_(OPEN),
        ~_is_blocked(),
    )
    in_turn = chosen.order_by(delivery.c.state.not_in(UNCERTAIN), delivery.c.sequence)
    return in_turn.limit(bindparam("most"))


def items(tx: Connection, delivery_id: str) -> list[Item]:
    """Return what a delivery carries, in order."""
    return [
        Item(
            position=r.position,
            identity=Identity(r.type, r.resource_id),
            resource=r.resource,
            digest=r.digest,
            outcome=r.outcome,
            reason=r.reason,
            decided=r.decided,
        )
        for r in tx.execute(_ITEMS, {"of_delivery": delivery_id})
    ]


def _shared_is_open(tx: Connection, head: Row[Any]) -> bool:
    """Say whether what this one may name, Practitioner and the like, is still under way."""
    if head.lane == SHARED_LANE:
        return False
    first = _first_open_shared(tx, head.destination)
    return first is not None and first <= head.needs_shared


def count_runs(tx: Connection, chosen: Sequence[Row[Any]], *, by: int = 1) -> None:
    """Count a run before it is tried, so that a delivery which kills its worker is found.

    `by` -1 for what was counted and not touched.
    """
    if chosen:
        tx.execute(_counted(), {"of_deliveries": [row.id for row in chosen], "more": by})


@cache
def _counted() -> Update:
    chosen = delivery.c.id.in_(bindparam("of_deliveries", expanding=True))
    return update(delivery).where(chosen).values(runs=delivery.c.runs + bindparam("more"))


def has_suspect_beside(tx: Connection, name: LaneName, now: datetime) -> bool:
    """Say whether another lane, of any destination, works on what its worker died of twice.

    Two of them never go at once: what only was beside the one that kills must not be blamed for it.
    """
    chosen = select(delivery.c.id).join(
        lane, (lane.c.destination == delivery.c.destination) & (lane.c.lane == delivery.c.lane)
    )
    found = chosen.where(
        or_(lane.c.destination != name.destination, lane.c.lane != name.lane),
        *_is_at_work(lane, now),
        delivery.c.state.in_(OPEN),
        delivery.c.runs > SUSPECT_RUNS,
    )
    return tx.execute(found.limit(1)).first() is not None


def at_work(tx: Connection, destination: str, now: datetime) -> int:
    """Return how many lanes of a destination are at work, of all workers."""
    chosen = select(func.count()).where(lane.c.destination == destination, *_is_at_work(lane, now))
    return tx.execute(chosen).scalar_one()


def _is_free() -> ColumnElement[bool]:
    """Say whether a lane has no live lease; one that ends too late was given by a wrong clock."""
    return or_(lane.c.leased_until <= bindparam("now"), lane.c.leased_until > bindparam("longest"))


def _at(now: datetime) -> dict[str, str]:
    """Return what the questions about leases ask by."""
    return {"now": moment.to_text(now), "longest": moment.to_text(now + LEASE)}


def _has_room() -> ColumnElement[bool]:
    """Say whether one more lane may be at work."""
    other = lane.alias()
    others = (
        select(func.count())
        .select_from(other)
        .where(
            other.c.destination == bindparam("of_ehr"),
            other.c.lane.not_in(bindparam("beside", expanding=True)),
            other.c.leased_until > bindparam("at_work_since"),
            other.c.leased_until <= bindparam("longest"),
        )
        .scalar_subquery()
    )
    most = select(destinations.c.concurrent).where(destinations.c.name == bindparam("of_ehr"))
    return others + bindparam("places", type_=Integer) < most.scalar_subquery()


def _is_blocked() -> ColumnElement[bool]:
    return and_(delivery.c.state == State.PENDING, delivery.c.reason.startswith(BLOCKED))


def _is(name: LaneName) -> tuple[Any, Any]:
    return lane.c.destination == name.destination, lane.c.lane == name.lane


def _is_at_work(of: FromClause, now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Say that a lane is at work: its lease was renewed within the longest exchange.

    The others are dead.
    """
    return (
        of.c.leased_until > moment.to_text(now + LEASE - AT_WORK),
        of.c.leased_until <= moment.to_text(now + LEASE),
    )
