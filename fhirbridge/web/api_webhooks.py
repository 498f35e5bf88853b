"""Clinic systems send signed messages; who signs needs no token."""

from http import HTTPStatus
from typing import Any

from flask import Response, url_for

from fhirbridge.intake.once import Message
from fhirbridge.web import schemas
from fhirbridge.web.exchange import JSON, NDJSON, answer, bridge, is_lines
from fhirbridge.web.guard import signed
from fhirbridge.web.routes import SIGNED, Operation

STOCK = "stock"


def receive() -> Response:
    """Send one session record, stock document or event, or many of them.

    Signed by Standard Webhooks over the bytes of the body. Answered only after all of it is stored.
    The same id with the same body is answered as the first time, whenever it comes; with another
    body it is refused. Of many (a JSON array, or NDJSON) each is taken in for itself, and the
    answer says what became of each.
    """
    source, head, body = signed()
    message = Message(scope=f"webhook:{source.id}", id=head.id, body=body)
    done = bridge().receive(message, by_lines=is_lines(), actor=source.actor)
    items = [located(item) for item in done["items"]]
    first = items[0]["location"] if len(items) == 1 else ""
    headers = {"Location": first} if first else {}
    return answer({**done, "items": items}, HTTPStatus.ACCEPTED, **headers)


def located(item: dict[str, Any]) -> dict[str, Any]:
    """Say where it is shown."""
    where = ""
    if item["id"] and item["form"] == STOCK:
        where = url_for("stock.show", stock_id=item["id"])
    elif item["id"]:
        where = url_for("records.show", record_id=item["id"])
    return {**item, "location": where}


HEADER = {"in": "header", "required": True, "schema": {"type": "string"}}
BODY = {
    "required": True,
    "content": {
        JSON: {
            "schema": {
                "oneOf": [
                    {"$ref": "#/components/schemas/Session"},
                    {"$ref": "#/components/schemas/Stock"},
                    {"$ref": "#/components/schemas/Event"},
                    {"type": "array", "description": "of records and events"},
                ]
            }
        },
        NDJSON: {"schema": {"type": "string", "description": "a record or event on each line"}},
    },
}
OPERATIONS = (
    Operation(
        room="webhooks",
        method="POST",
        rule="/webhooks/v1/sessions",
        view=receive,
        access=SIGNED,
        body=BODY,
        parameters=(
            {**HEADER, "name": "webhook-id", "description": "the same for each try"},
            {
                **HEADER,
                "name": "webhook-timestamp",
                "description": "seconds since 1970, of this try",
            },
            {**HEADER, "name": "webhook-signature", "description": "v1,… of id.timestamp.body"},
        ),
        answers={HTTPStatus.ACCEPTED: schemas.Received},
        refusals={
            HTTPStatus.BAD_REQUEST: "not JSON",
            HTTPStatus.UNAUTHORIZED: "not signed by a sender that is known, or not just now",
            HTTPStatus.CONFLICT: "the id, or the version, was sent with other content",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "larger than this service takes",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "neither JSON nor NDJSON, or compressed",
            HTTPStatus.UNPROCESSABLE_ENTITY: "a single one was refused, with all that was found",
            HTTPStatus.INTERNAL_SERVER_ERROR: "a fault inside; nothing was acknowledged",
            HTTPStatus.SERVICE_UNAVAILABLE: "the database is busy or full; send it again",
        },
    ),
)
