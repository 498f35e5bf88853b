"""Tell others, by an event, that a delivery arrived or that it waits for a person."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection

from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.states import State

TOLD: Mapping[State, Kind] = {
    State.DELIVERED: Kind.DELIVERY_DELIVERED,
    State.HELD: Kind.DELIVERY_HELD,
    State.PARKED: Kind.DELIVERY_PARKED,
}


def tell(
    tx: Connection,
    state: State,
    *,
    delivery: str,
    record: str,
    destination: str,
    lane: str,
    reason: str,
    at: datetime,
) -> None:
    """Tell of a delivery that came to this state, where others want to hear of that."""
    if state in TOLD:
        # The first word of a reason is its code; what follows is for whoever may see more.
        code = reason.partition(":")[0]
        one = Event(
            kind=TOLD[state],
            destination=destination,
            patient=patient_of(lane),
            detail={"delivery": delivery, "record": record, "state": state.value, "reason": code},
        )
        events.wait(tx, one, at=at)


def patient_of(lane: str) -> str:
    """Return our opaque name of the patient whose lane it is; "" for what all share."""
    return "" if lane == SHARED_LANE else lane
