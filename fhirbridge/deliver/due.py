"""When something is to go: now, or at which time."""

from datetime import datetime

from sqlalchemy import Connection, select

from fhirbridge.deliver import traffic
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.outbox.states import OPEN
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery


def is_due(tx: Connection, one: Destination, until: datetime) -> bool:
    """Say whether anything may go to a destination until then, of what is there now."""
    shut = traffic.closed(tx, one, until)
    if one.paused or shut is not None:
        return False
    waiting = select(delivery.c.id).where(
        delivery.c.destination == one.name,
        delivery.c.state.in_(OPEN),
        delivery.c.due_at <= moment.to_text(until),
    )
    return tx.execute(waiting.limit(1)).first() is not None


def next_due(tx: Connection, now: datetime) -> datetime | None:
    """Return when something that waits for its time, or for its destination, is due, or None."""
    found = [_next_due(tx, one, now) for one in registry.every(tx) if not one.paused]
    return min((due for due in found if due is not None), default=None)


def _next_due(tx: Connection, one: Destination, now: datetime) -> datetime | None:
    # Joined to nothing, so that the index of due times is used and its first row is enough.
    waiting = select(delivery.c.due_at).where(
        delivery.c.destination.concat("") == one.name, delivery.c.state.in_(OPEN)
    )
    shut = traffic.closed(tx, one, now)
    if shut is not None:
        until = moment.to_text(shut.until)
        if tx.scalar(waiting.where(delivery.c.due_at <= until).limit(1)) is not None:
            return shut.until
    after = moment.to_text(now if shut is None else shut.until)
    later = waiting.where(delivery.c.due_at > after)
    due = tx.scalar(later.order_by(delivery.c.due_at).limit(1))
    return None if due is None else moment.from_text(due)
