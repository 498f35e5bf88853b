"""What a person took back from a patient's chart: what of it waits, and what waits for it."""

from collections.abc import Collection
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, or_, select

from fhirbridge.outbox.beside import went_unheard
from fhirbridge.outbox.contents import SHARED_LANE, Identity
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import (
    GONE,
    IN_DOUBT,
    MERGED,
    OPEN,
    RETRACTED,
    STUCK,
    UNCERTAIN,
    Became,
    State,
)
from fhirbridge.store.tables import delivery, delivery_item, record


def stop(
    tx: Connection, settlement: Settlement, records: Collection[str], *, actor: str
) -> list[str]:
    """Close what waits of records that were taken back from a chart; return the deliveries.

    What all patients share goes on, and a repair: it brings back what other sessions lost too, and
    the sender leaves out what was taken back. So does what is under way, or may be there in a form
    that nobody knows: it is looked at first, and the sender lets no more of it go.
    """
    looked_at_first = [delivery.c.reason.startswith(one) for one in (*IN_DOUBT, GONE, MERGED)]
    chosen = (
        select(delivery.c.id)
        .where(
            delivery.c.record_id.in_(records),
            delivery.c.lane != SHARED_LANE,
            delivery.c.repairs.is_(False),
            delivery.c.state.in_([State.PENDING, State.HELD, State.PARKED]),
            ~or_(went_unheard(), *looked_at_first),
        )
        .order_by(delivery.c.destination, delivery.c.sequence)
    )
    found = list(tx.scalars(chosen))
    for delivery_id in found:
        settlement.move(tx, delivery_id, Move(to=State.SUPERSEDED, reason=RETRACTED), actor=actor)
    return found


def still_elsewhere(tx: Connection, row: Row[Any]) -> str:
    """Name what is not through of this session in the chart of which it was taken back, or "".

    Both charts know its resources by the same ids: what is taken back goes first.
    """
    asked = {"of_record": row.record_id, "of_ehr": row.destination}
    return tx.scalar(_still_elsewhere(), asked) or ""


@cache
def _still_elsewhere() -> Select[Any]:
    """Build the question once: it is asked of each delivery that goes."""
    own, other = record.alias(), record.alias()
    chosen = (
        select(delivery.c.id)
        .join(other, other.c.id == delivery.c.record_id)
        .join(own, own.c.session_key == other.c.session_key)
        .where(
            own.c.id == bindparam("of_record"),
            own.c.retracted == "",
            other.c.retracted != "",
            other.c.patient_key != own.c.patient_key,
            # Joined to nothing, so that it is found by its record: a backlog is not read for that.
            delivery.c.destination.concat("") == bindparam("of_ehr"),
            delivery.c.lane == other.c.patient_key,
            delivery.c.state.concat("").in_([*OPEN, *STUCK]),
            delivery.c.reason != RETRACTED,
        )
        .order_by(delivery.c.sequence.desc())
    )
    return chosen.limit(1)


def in_doubt(tx: Connection, destination: str, identity: Identity) -> bool:
    """Say whether a request may be under way, or may have landed unheard, that carries this."""
    chosen = (
        select(delivery.c.id)
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .where(
            delivery.c.destination == destination,
            delivery_item.c.type == identity.type,
            delivery_item.c.resource_id == identity.id,
            or_(delivery.c.state.in_(UNCERTAIN), delivery_item.c.outcome == Became.SENT),
        )
    )
    return tx.execute(chosen.limit(1)).first() is not None
