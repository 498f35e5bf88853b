"""Clinic systems send session records, and see what became of each."""

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from flask import Response, url_for

from fhirbridge.access.tokens import Role
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.intake.accept import Receipt
from fhirbridge.overview.lists import Sought
from fhirbridge.records import findings
from fhirbridge.web import idempotency, list_schemas, schemas
from fhirbridge.web.exchange import IF_NONE_MATCH, PATH, answer, body, bridge, shown
from fhirbridge.web.guard import caller
from fhirbridge.web.query import RECORD_STATES, Filter
from fhirbridge.web.routes import Operation, only


class NoSuchRecordError(BridgeError):
    """No record has this id."""

    code = "E914"
    http_status = HTTPStatus.NOT_FOUND


class BadSearchError(BridgeError):
    """What is to be looked for is not said as it must be."""

    code = "E921"
    http_status = HTTPStatus.BAD_REQUEST


FILTER = Filter(
    "session", "destination", "waiting", "received_from", "received_before", states=RECORD_STATES
)


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
    return shown(found)


def every() -> Response:
    """List record versions, the last received first. No PHI.

    A page goes on where the one before ended, whatever is added meanwhile: send its `next` as the
    cursor, with the same filter, until it is empty.
    """
    return _listed(FILTER.read())


def search() -> Response:
    """List the versions of the session that your system calls so, filtered like the list.

    The id stands in the body, since an address is kept in logs on the way.
    """
    asked = codec.decode(body())
    if not isinstance(asked, dict) or asked.keys() != {"session_id"}:
        raise BadSearchError('the body is not {"session_id": …}', hint="send just that")
    named = asked["session_id"]
    if not isinstance(named, str) or not 0 < len(named) <= LONGEST_ID:
        raise BadSearchError("session_id is no text of a length that it can have")
    sought = FILTER.read()
    if sought.session:
        raise BadSearchError("the session is named twice", hint="leave it out of the address")
    return _listed(replace(sought, session=bridge().session_named(named)))


def _listed(sought: Sought) -> Response:
    page = bridge().list_records(sought)
    return answer({"sessions": list(page.rows), "next": page.next})


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
        "findings": [findings.shown(found) for found in receipt.findings],
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
LONGEST_ID = 1000
SEARCHED = {
    "type": "object",
    "required": ["session_id"],
    "additionalProperties": False,
    "properties": {"session_id": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}},
}
READERS = only(Role.INTEGRATOR, Role.OPERATOR, Role.AUDITOR, Role.ADMIN)
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
            "version has another patient, or its session was purged",
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
        parameters=(
            {**PATH, "name": "record_id", "description": "id of the receipt"},
            IF_NONE_MATCH,
        ),
        answers={HTTPStatus.OK: schemas.Record},
        refusals={**REFUSALS, HTTPStatus.NOT_FOUND: "no record has this id"},
        tagged=True,
    ),
    Operation(
        room="records",
        method="GET",
        rule="/api/v1/sessions",
        view=every,
        access=READERS,
        parameters=FILTER.parameters,
        answers={HTTPStatus.OK: list_schemas.RecordPage},
        refusals={
            **REFUSALS,
            HTTPStatus.BAD_REQUEST: "a filter or cursor that cannot be used",
            HTTPStatus.NOT_FOUND: "no destination has this name",
        },
    ),
    Operation(
        room="records",
        method="POST",
        rule="/api/v1/sessions/search",
        view=search,
        access=READERS,
        body={
            "required": True,
            "content": {"application/json": {"schema": SEARCHED}},
        },
        parameters=FILTER.parameters,
        answers={HTTPStatus.OK: list_schemas.RecordPage},
        refusals={
            **REFUSALS,
            HTTPStatus.BAD_REQUEST: "not JSON, or a filter or cursor that cannot be used",
            HTTPStatus.NOT_FOUND: "no destination has this name",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "larger than this service takes",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not application/json, or compressed",
        },
    ),
)
