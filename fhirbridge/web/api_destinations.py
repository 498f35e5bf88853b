"""Programs see how destinations stand, and stop one or let it go on."""

from http import HTTPStatus

from flask import Response

from fhirbridge.access.tokens import Role
from fhirbridge.web import idempotency, list_schemas, schemas
from fhirbridge.web.api_deliveries import OPERATORS
from fhirbridge.web.api_records import REFUSALS
from fhirbridge.web.exchange import PATH, answer, bridge
from fhirbridge.web.guard import caller
from fhirbridge.web.query import NAME, Filter
from fhirbridge.web.routes import Operation, only

FILTER = Filter("paused")


def every() -> Response:
    """List destinations by name: mode, pause, limits, what waits, and how late it is. No PHI."""
    page = bridge().list_destinations(FILTER.read())
    return answer({"destinations": list(page.rows), "next": page.next})


def show(name: str) -> Response:
    """Show how one destination stands. No PHI."""
    return answer(bridge().how_stands(name))


def pause(name: str) -> Response:
    """Begin no new request to a destination until it is resumed; nothing is lost."""
    told = bridge().pause_one(name, message=idempotency.action(), actor=caller().actor)
    return answer(told)


def resume(name: str) -> Response:
    """Take a pause back. What a probe or a comparison must settle stays paused: see `paused`."""
    told = bridge().resume_one(name, message=idempotency.action(), actor=caller().actor)
    return answer(told)


READERS = only(Role.OPERATOR, Role.AUDITOR, Role.ADMIN)
NAMED = {
    **PATH,
    "name": "name",
    "schema": {"type": "string", **NAME},
    "description": "as the list has it",
}
UNKNOWN = {HTTPStatus.NOT_FOUND: "no destination has this name"}
OPERATIONS = (
    Operation(
        room="destinations",
        method="GET",
        rule="/api/v1/destinations",
        view=every,
        access=READERS,
        parameters=FILTER.parameters,
        answers={HTTPStatus.OK: list_schemas.DestinationPage},
        refusals={**REFUSALS, HTTPStatus.BAD_REQUEST: "a filter or cursor that cannot be used"},
    ),
    Operation(
        room="destinations",
        method="GET",
        rule="/api/v1/destinations/<name>",
        view=show,
        access=READERS,
        parameters=(NAMED,),
        answers={HTTPStatus.OK: schemas.Destination},
        refusals={**REFUSALS, **UNKNOWN},
    ),
    *(
        Operation(
            room="destinations",
            method="POST",
            rule=f"/api/v1/destinations/<name>/{view.__name__}",
            view=view,
            access=OPERATORS,
            parameters=(NAMED, idempotency.PARAMETER),
            answers={HTTPStatus.OK: schemas.Destination},
            refusals={
                **REFUSALS,
                **UNKNOWN,
                HTTPStatus.BAD_REQUEST: "a key that cannot be used",
                HTTPStatus.CONFLICT: "the key was used for something else",
            },
        )
        for view in (pause, resume)
    ),
)
