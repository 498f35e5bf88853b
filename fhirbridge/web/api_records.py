"""Clinic systems send session records, and see what became of each."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Response, url_for

from fhirbridge.access.tokens import Role
from fhirbridge.errors import BridgeError
from fhirbridge.intake.accept import Receipt
from fhirbridge.records.findings import shown
from fhirbridge.web import idempotency, schemas
from fhirbridge.web.exchange import answer, body, bridge
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import Operation, only


class NoSuchRecordError(BridgeError):
    """No record has this id."""

    code = "E914"
    http_status = HTTPStatus.NOT_FOUND


def submit() -> Response:
    """Send one session record.

    Answered only after the record, its evidence and what is owed to each destination are stored
    in one commit. A repeat (same version, same content) is answered alike, with the first one's id
    and the state `repeated`: sending again after a lost answer is safe. Under an `Idempotency-Key`
    a repeat gets the first answer itself.
    """
    raw, actor = body(), caller().actor
    message = idempotency.message(raw)
    if message is None:
        told = _receipt(bridge().accept(raw, actor=actor))
    else:
        told = bridge().accept_once(message, _receipt, actor=actor)
    where = url_for("records.show", record_id=told["id"])
    return answer(told, HTTPStatus.ACCEPTED, Location=where)


def show(record_id: str) -> Response:
    """Show one record version: findings, deliveries, and the resources it became.

    Holds PHI; each reading is noted in the evidence log.
    """
    found = bridge().record(record_id, actor=caller().actor)
    if found is None:
        raise NoSuchRecordError("no record has this id", hint="take the id from the receipt")
    return answer(found)


def _receipt(receipt: Receipt) -> dict[str, Any]:
    plans = [
        {
            "destination": owed.destination,
            "delivery": owed.delivery_id,
            "state": owed.state.value,
            "send": {
                "count": len(owed.changes),
                "resources": _names(change.identity for change in owed.changes),
            },
            "kept": _names(owed.kept),
            "cannot_retract": _names(owed.cannot_retract),
        }
        for owed in receipt.owed
    ]
    return {
        "id": receipt.id,
        "version": receipt.version,
        "state": receipt.state,
        "translation": receipt.translation,
        "problems": receipt.problems,
        "destinations": plans,
        "findings": [shown(found) for found in receipt.findings],
    }


def _names(identities: Iterable[Any]) -> list[str]:
    return [f"{identity.type}/{identity.id}" for identity in identities]


SESSION_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/Session"},
            "examples": {"visit": {"$ref": "#/components/examples/visit"}},
        }
    },
}
REFUSALS = {
    HTTPStatus.UNAUTHORIZED: "no valid token",
    HTTPStatus.FORBIDDEN: "the token's role may not use this",
    HTTPStatus.INTERNAL_SERVER_ERROR: "a fault inside; nothing was acknowledged",
    HTTPStatus.SERVICE_UNAVAILABLE: "the database is busy or full; nothing was stored",
}
OPERATIONS = (
    Operation(
        room="records",
        method="POST",
        rule="/api/v1/sessions",
        view=submit,
        access=only(Role.INTEGRATOR, Role.ADMIN),
        body=SESSION_BODY,
        parameters=(idempotency.PARAMETER,),
        answers={HTTPStatus.ACCEPTED: schemas.Receipt},
        headers={"Location": {"description": "where it is shown", "schema": {"type": "string"}}},
        refusals={
            **REFUSALS,
            HTTPStatus.BAD_REQUEST: "not JSON, or a key that cannot be used",
            HTTPStatus.CONFLICT: "this version, or this key, was sent with other content, or the "
            "version has another patient",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "larger than this service takes",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not application/json, or compressed",
            HTTPStatus.UNPROCESSABLE_ENTITY: "refused, with everything that was found",
        },
    ),
    Operation(
        room="records",
        method="GET",
        rule="/api/v1/sessions/<record_id>",
        view=show,
        access=only(Role.INTEGRATOR, Role.AUDITOR, Role.ADMIN),
        parameters=({"in": "path", "name": "record_id", "description": "id of the receipt"},),
        answers={HTTPStatus.OK: schemas.Record},
        refusals={**REFUSALS, HTTPStatus.NOT_FOUND: "no record has this id"},
    ),
)
