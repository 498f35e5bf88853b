"""Take a destination away: nothing goes there any more; ledger and evidence stay as they are.

What is under way is never torn: who removes waits for its end. What is owed is closed only by a
person's word, so that nobody loses a dose by mistake.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from fhirbridge.deliver import traffic
from fhirbridge.destinations import registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.outbox import pauses
from fhirbridge.outbox.claim import LEASE, NO_LEASE
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import OPEN, STUCK, UNCERTAIN, State
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, lane

GIVEN_UP = "given up: its destination was removed"
IN_DOUBT = f"{GIVEN_UP}; whether the EHR has it is not known"
BEGUN = "it is being removed: fhirbridge destination remove NAME ends that"
ROWS_AT_ONCE = 200  # a commit: whoever takes records in meanwhile does not wait long


def owed(tx: Connection, name: str) -> dict[str, int]:
    """Count what is not through there, by state."""
    counted = (
        select(delivery.c.state, func.count())
        .where(delivery.c.destination == name, delivery.c.state.in_([*OPEN, *STUCK]))
        .group_by(delivery.c.state)
    )
    return {row[0]: row[1] for row in tx.execute(counted)}


def check(tx: Connection, name: str, now: datetime, *, gives_up: bool) -> dict[str, int]:
    """Return what is owed there. Raises DestinationError where it may not be removed now."""
    registry.get(tx, name)
    if _is_under_way(tx, name, now):
        raise DestinationError(
            f"a request to {name} is under way",
            hint=f"fhirbridge sync pause --destination {name}, and try again in a minute",
        )
    left = owed(tx, name)
    if left and not gives_up:
        raise DestinationError(
            f"{name} is still owed {_words(left)}",
            hint="fhirbridge sync run delivers what can go; "
            '--give-up "REASON" closes the rest: it will never be sent there',
        )
    return left


def begin(tx: Connection, name: str) -> None:
    """Let no worker begin anything there; one that slept over its lease lost its lane."""
    registry.pause(tx, name, BEGUN)
    taken = update(lane).where(lane.c.destination == name)
    tx.execute(taken.values(fence=lane.c.fence + 1, leased_until=NO_LEASE))


def give_up(tx: Connection, settlement: Settlement, name: str, *, actor: str) -> int:
    """Close some of what is owed there; return how many, 0 at the end."""
    chosen = (
        select(delivery.c.id, delivery.c.state)
        .where(delivery.c.destination == name, delivery.c.state.in_([*OPEN, *STUCK]))
        .order_by(delivery.c.lane, delivery.c.sequence)
        .limit(ROWS_AT_ONCE)
    )
    rows = tx.execute(chosen).all()
    for row in rows:
        reason = IN_DOUBT if row.state in UNCERTAIN else GIVEN_UP
        if row.state == State.UNKNOWN:  # nobody may skip the look at it but by a person's word
            settlement.move(tx, row.id, Move(to=State.PARKED, reason=reason), actor=actor)
        settlement.move(tx, row.id, Move(to=State.SUPERSEDED, reason=reason), actor=actor)
    return len(rows)


def end(tx: Connection, name: str, *, at: datetime) -> None:
    """Let it be no destination any more, with what was remembered for its next request."""
    pauses.forget(tx, name)
    traffic.forget(tx, name)
    registry.remove(tx, name, at=moment.to_text(at))


def _is_under_way(tx: Connection, name: str, now: datetime) -> bool:
    leased = select(lane.c.lane).where(
        lane.c.destination == name,
        lane.c.leased_until > moment.to_text(now),
        lane.c.leased_until <= moment.to_text(now + LEASE),
    )
    return tx.execute(leased.limit(1)).first() is not None


def _words(left: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(left.items()))
