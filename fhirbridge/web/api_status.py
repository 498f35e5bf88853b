"""How things stand: for those who run it, and, in one word, for whoever watches the process."""

from dataclasses import asdict
from http import HTTPStatus

from flask import Response

from fhirbridge.access.tokens import Role
from fhirbridge.web import schemas
from fhirbridge.web.exchange import answer, bridge
from fhirbridge.web.routes import PUBLIC, Operation, Page, only

FAULT = {HTTPStatus.INTERNAL_SERVER_ERROR: "a fault inside"}
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
BUSY = {HTTPStatus.SERVICE_UNAVAILABLE: "the database does not answer"}


def status() -> Response:
    """Show counts, destinations, and which deliveries wait and why. No PHI."""
    return answer(asdict(bridge().status()))


def healthz() -> Response:
    """Say that the process answers."""
    return answer({"status": "ok"})


def readyz() -> Response:
    """Say whether records can be taken in: mappings are live, the database answers and has room."""
    # Indexed look-ups: anyone may ask, as often as they like.
    bridge().next_due()
    bridge().ready()
    return answer({"status": "ready"})


def metrics() -> Response:
    """Show how things stand as Prometheus reads it; in its own format, so in no document."""
    return Response(bridge().metrics(), content_type=PROMETHEUS)


# As no view says to whom it is open, so no scrape does: it has a token like everybody else.
PAGES = (
    Page(
        rule="/metrics",
        view=metrics,
        access=only(Role.OPERATOR, Role.AUDITOR, Role.ADMIN),
        room="status",
    ),
)

OPERATIONS = (
    Operation(
        room="status",
        method="GET",
        rule="/api/v1/status",
        view=status,
        access=only(Role.OPERATOR, Role.AUDITOR, Role.ADMIN),
        answers={HTTPStatus.OK: schemas.Status},
        refusals={
            HTTPStatus.UNAUTHORIZED: "no valid token",
            HTTPStatus.FORBIDDEN: "the token's role may not use this",
            **FAULT,
            **BUSY,
        },
    ),
    Operation(
        room="status",
        method="GET",
        rule="/healthz",
        view=healthz,
        access=PUBLIC,
        answers={HTTPStatus.OK: schemas.Health},
        refusals={},
    ),
    Operation(
        room="status",
        method="GET",
        rule="/readyz",
        view=readyz,
        access=PUBLIC,
        answers={HTTPStatus.OK: schemas.Health},
        refusals={**FAULT, **BUSY},
    ),
)
