"""Clinic systems send stock documents; nothing of them is delivered."""

from http import HTTPStatus
from typing import Any

from flask import Response, url_for

from fhirbridge.access.tokens import Role
from fhirbridge.errors import BridgeError
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.records import findings
from fhirbridge.web import idempotency, schemas
from fhirbridge.web.api_records import REFUSALS
from fhirbridge.web.exchange import IF_NONE_MATCH, PATH, answer, body, bridge, shown
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import Operation, only


class NoSuchStockError(BridgeError):
    """No stock document has this id."""

    code = "E915"
    http_status = HTTPStatus.NOT_FOUND


def submit() -> Response:
    """Send one stock document: receipts, vials, returns, counts and losses of a stretch of time.

    Answered only after the document and its evidence are stored in one commit. A repeat (same
    version, same content) is answered alike, with the first one's id and the state `repeated`.
    """
    raw, actor = body(), caller().actor
    message = idempotency.message(raw)
    if message is None:
        told = _receipt(bridge().accept_stock(raw, actor=actor))
    else:
        told = bridge().accept_stock_once(message, _receipt, actor=actor)
    where = url_for("stock.show", stock_id=told["id"])
    return answer(told, HTTPStatus.ACCEPTED, Location=where)


def show(stock_id: str) -> Response:
    """Show one version of a stock document as it is stored; each reading is noted."""
    found = bridge().stock_document(stock_id, actor=caller().actor)
    if found is None:
        raise NoSuchStockError("no stock document has this id", hint="take it from the receipt")
    return shown(found)


def _receipt(receipt: StockReceipt) -> dict[str, Any]:
    return {
        "id": receipt.id,
        "version": receipt.version,
        "state": receipt.state,
        "findings": [findings.shown(found) for found in receipt.findings],
    }


OPERATIONS = (
    Operation(
        room="stock",
        method="POST",
        rule="/api/v1/stock",
        view=submit,
        access=only(Role.INTEGRATOR, Role.ADMIN),
        body={
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Stock"}}},
        },
        parameters=(idempotency.PARAMETER,),
        answers={HTTPStatus.ACCEPTED: schemas.StockReceipt},
        headers={"Location": {"description": "where it is shown", "schema": {"type": "string"}}},
        refusals={
            **REFUSALS,
            HTTPStatus.BAD_REQUEST: "not JSON, or a key that cannot be used",
            HTTPStatus.CONFLICT: "this version, or this key, was sent with other content",
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "larger than this service takes",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not application/json, or compressed",
            HTTPStatus.UNPROCESSABLE_ENTITY: "refused, with everything that was found",
        },
    ),
    Operation(
        room="stock",
        method="GET",
        rule="/api/v1/stock/<stock_id>",
        view=show,
        access=only(Role.INTEGRATOR, Role.AUDITOR, Role.ADMIN),
        parameters=(
            {**PATH, "name": "stock_id", "description": "id of the receipt"},
            IF_NONE_MATCH,
        ),
        answers={HTTPStatus.OK: schemas.StockDocument},
        refusals={**REFUSALS, HTTPStatus.NOT_FOUND: "no stock document has this id"},
        tagged=True,
    ),
)
