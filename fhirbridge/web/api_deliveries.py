"""Programs see which deliveries there are, and put back in line what waits for a person."""

from http import HTTPStatus

from flask import Response

from fhirbridge.access.tokens import Role
from fhirbridge.outbox.states import State
from fhirbridge.web import idempotency, list_schemas
from fhirbridge.web.api_records import READERS, REFUSALS
from fhirbridge.web.exchange import IF_NONE_MATCH, PATH, answer, bridge, shown
from fhirbridge.web.guard import caller
from fhirbridge.web.query import DELIVERY_STATES, Filter
from fhirbridge.web.routes import Operation, only

FILTER = Filter("destination", "record", "received_from", "received_before", states=DELIVERY_STATES)


def every() -> Response:
    """List deliveries, the last made first. No PHI.

    A page goes on where the one before ended, whatever is added meanwhile: send its `next` as the
    cursor, with the same filter, until it is empty.
    """
    page = bridge().list_deliveries(FILTER.read())
    return answer({"deliveries": list(page.rows), "next": page.next})


def show(delivery_id: str) -> Response:
    """Show one delivery and what became of each of its resources. No PHI."""
    return shown(bridge().delivery(delivery_id))


def retry(delivery_id: str) -> Response:
    """Put a parked delivery back in line; it goes again as it is, after what is before it."""
    return _put_back(delivery_id, State.PARKED)


def release(delivery_id: str) -> Response:
    """Let a held delivery go on; what held it is looked at again before anything is sent."""
    return _put_back(delivery_id, State.HELD)


def _put_back(delivery_id: str, state: State) -> Response:
    told = bridge().put_back_one(
        delivery_id, state, message=idempotency.action(), actor=caller().actor
    )
    return answer(told)


OPERATORS = only(Role.OPERATOR, Role.ADMIN)
ID = {**PATH, "name": "delivery_id", "description": "id of a list, a receipt or a record"}
NO_DELIVERY = {HTTPStatus.NOT_FOUND: "no delivery has this id"}
ACTION = {
    **REFUSALS,
    **NO_DELIVERY,
    HTTPStatus.BAD_REQUEST: "a key that cannot be used",
    HTTPStatus.CONFLICT: "it does not wait in this state, or the key was used for something else",
}
OPERATIONS = (
    Operation(
        room="deliveries",
        method="GET",
        rule="/api/v1/deliveries",
        view=every,
        access=READERS,
        parameters=FILTER.parameters,
        answers={HTTPStatus.OK: list_schemas.DeliveryPage},
        refusals={
            **REFUSALS,
            HTTPStatus.BAD_REQUEST: "a filter or cursor that cannot be used",
            HTTPStatus.NOT_FOUND: "no destination has this name",
        },
    ),
    Operation(
        room="deliveries",
        method="GET",
        rule="/api/v1/deliveries/<delivery_id>",
        view=show,
        access=READERS,
        parameters=(ID, IF_NONE_MATCH),
        answers={HTTPStatus.OK: list_schemas.OneDelivery},
        refusals={**REFUSALS, **NO_DELIVERY},
        tagged=True,
    ),
    *(
        Operation(
            room="deliveries",
            method="POST",
            rule=f"/api/v1/deliveries/<delivery_id>/{view.__name__}",
            view=view,
            access=OPERATORS,
            parameters=(ID, idempotency.PARAMETER),
            answers={HTTPStatus.OK: list_schemas.OneDelivery},
            refusals=ACTION,
        )
        for view in (retry, release)
    ),
)
