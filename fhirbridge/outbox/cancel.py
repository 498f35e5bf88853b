"""Set aside what is queued, by an operator's word.

What may be under way goes its way, and so does what takes back: set aside, it would leave in a
chart what does not belong there, and nothing would owe it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from fhirbridge.outbox import selection
from fhirbridge.outbox.beside import went_unheard
from fhirbridge.outbox.claim import LEASE, NO_LEASE
from fhirbridge.outbox.contents import RETRACTION, SHARED_LANE
from fhirbridge.outbox.selection import Selection, of_deliveries
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import CANCELLED, UNCERTAIN, State
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, lane, resource

ROWS_AT_ONCE = 200  # a commit: whoever takes records in meanwhile does not wait long
SET_ASIDE = Move(
    to=State.PARKED, reason=f"{CANCELLED}by an operator; sync retry sends it", counts={"runs": 0}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """How many were, or would be, set aside; how many go on: under way, or they take back."""

    cancelled: int
    under_way: int


def queued(tx: Connection, chosen: Selection, now: datetime) -> list[str]:
    """Return the ids of what is meant, waits and does not go on, in the order of the lanes.

    Raises DestinationError.
    """
    selection.check(tx, chosen)
    found = (
        select(delivery.c.id)
        .where(*_meant(chosen), delivery.c.state == State.PENDING, ~_goes_on(now))
        .order_by(delivery.c.destination, delivery.c.lane, delivery.c.sequence)
    )
    return list(tx.scalars(found))


def under_way(tx: Connection, chosen: Selection, now: datetime) -> int:
    """Count what is meant and goes on."""
    going_on = and_(delivery.c.state == State.PENDING, _goes_on(now))
    found = select(delivery.c.id).where(
        *_meant(chosen), or_(delivery.c.state.in_(UNCERTAIN), going_on)
    )
    return len(tx.scalars(found).all())


def set_aside(
    tx: Connection, settlement: Settlement, ids: Sequence[str], now: datetime, *, actor: str
) -> int:
    """Park those of these that still wait and do not go on; return how many."""
    still = select(delivery).where(
        delivery.c.id.in_(ids), delivery.c.state == State.PENDING, ~_goes_on(now)
    )
    rows = tx.execute(still).all()
    for row in rows:
        if row.runs:  # whoever began it sleeps or is dead; he must not wake and send it
            _take_lane_away(tx, row.destination, row.lane)
        settlement.move(tx, row.id, SET_ASIDE, actor=actor)
    return len(rows)


def _meant(chosen: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions; of one patient, nothing that other patients need as well."""
    met = of_deliveries(chosen)
    if chosen.patient or chosen.record_id:
        met.append(delivery.c.lane != SHARED_LANE)
    return met


def _goes_on(now: datetime) -> ColumnElement[bool]:
    """Say whether it takes something back, may be there, or was chosen by a worker that is alive.

    Chosen: its run is counted, its lane leased.
    """
    takes_back = (
        select(delivery_item.c.delivery_id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .where(delivery_item.c.delivery_id == delivery.c.id, resource.c.purpose == RETRACTION)
        .exists()
    )
    leased = (
        select(lane.c.fence)
        .where(
            lane.c.destination == delivery.c.destination,
            lane.c.lane == delivery.c.lane,
            lane.c.leased_until > moment.to_text(now),
            lane.c.leased_until <= moment.to_text(now + LEASE),
        )
        .exists()
    )
    return or_(takes_back, went_unheard(), and_(delivery.c.runs > 0, leased))


def _take_lane_away(tx: Connection, destination: str, name: str) -> None:
    his = (lane.c.destination == destination, lane.c.lane == name)
    tx.execute(update(lane).where(*his).values(fence=lane.c.fence + 1, leased_until=NO_LEASE))
