"""The API's document (OpenAPI 3.1), made from the same declarations that open the routes."""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask
from flask_smorest import Api, Blueprint  # type: ignore[import-untyped]

from fhirbridge.fhir import codec
from fhirbridge.records.json_schema import event_schema, json_schema
from fhirbridge.records.parts.stock import STOCK_NAME
from fhirbridge.web.guard import Guard
from fhirbridge.web.routes import Operation

EXAMPLE = Path(__file__).parents[1] / "samples" / "01-iv-series-visit-1.v1.json"
SECURITY = {"type": "http", "scheme": "bearer", "description": "A token from `fhirbridge token`."}
SIGNATURE = {
    "type": "apiKey",
    "in": "header",
    "name": "webhook-signature",
    "description": "Standard Webhooks, with webhook-id and webhook-timestamp; the secret is from "
    "`fhirbridge webhook-source`.",
}
ROOMS = {
    "webhooks": "Send signed messages: records, events, or many of them.",
    "records": "Send session records and see what became of them.",
    "stock": "Send the stock of controlled substances, for the clinic's own accounts.",
    "events": "What changed in the EHRs, in order, without patient data.",
    "patients": "What EHRs know of a patient.",
    "status": "How the service and its deliveries stand.",
    "fhir": "What readers pull: FHIR R4, read-only. `/fhir/metadata` says which types are shown, "
    "by what they are searched, and what an answer is.",
    "keys": "The public keys by which EHRs know that it is us.",
}
# The version of the API, not of the program: the document is public.
CONFIG = {
    "API_TITLE": "fhirbridge",
    "API_VERSION": "1",
    "OPENAPI_VERSION": "3.1.0",
}


class _Api(Api):  # type: ignore[misc]
    """flask-smorest with nothing in it that our document does not say itself."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave them to `problems`."""

    def _register_responses(self) -> None:
        """Add none: each operation says its own."""

    def _register_pagination_header(self) -> None:
        """Add none: a page says in itself what comes after it."""


def open_routes(app: Flask, guard: Guard, operations: Sequence[Operation]) -> bytes:
    """Add the operations to the application, each with its guard, and return the document."""
    app.config.update(CONFIG)
    api = _Api(app, spec_kwargs={"servers": [{"url": "/"}], "security": [{"token": []}]})
    components = api.spec.components
    components.security_scheme("token", SECURITY)
    components.security_scheme("signature", SIGNATURE)
    components.schema("Session", json_schema())
    components.schema("Stock", json_schema(STOCK_NAME))
    components.schema("Event", event_schema({"$ref": "#/components/schemas/Session"}))
    example = {"summary": "an IV visit (synthetic)", "value": codec.decode(EXAMPLE.read_bytes())}
    components.example("visit", example)
    for room, about in ROOMS.items():
        blueprint = Blueprint(room, __name__, description=about)
        for operation in operations:
            if operation.room == room:
                _add(blueprint, guard, operation)
        api.register_blueprint(blueprint)
    return codec.encode(api.spec.to_dict())


def _add(blueprint: Any, guard: Guard, operation: Operation) -> None:
    view: Any = operation.view
    for status, schema in operation.answers.items():
        shown = {"headers": dict(operation.headers) or None, "content_type": operation.media}
        view = blueprint.response(status, schema, **shown)(view)
    for status, when in operation.empty.items():
        view = blueprint.alt_response(status, description=when, success=True)(view)
    schema, media = operation.refusal
    for status, when in operation.refusals.items():
        more = {"schema": schema, "content_type": media, "description": when}
        view = blueprint.alt_response(status, headers=_headers(status), **more)(view)
    view = blueprint.doc(**_about(operation))(view)
    blueprint.add_url_rule(
        operation.rule,
        endpoint=operation.view.__name__,
        view_func=view,
        methods=[operation.method],
        parameters=[dict(one) for one in operation.parameters],
    )
    guard.declare(operation.endpoint, operation.access)


def _about(operation: Operation) -> dict[str, Any]:
    about: dict[str, Any] = {"operationId": operation.endpoint.replace(".", "-")}
    if operation.access.public:
        about["security"] = []
    elif operation.access.signed:
        about["security"] = [{"signature": []}]
    else:
        about["x-roles"] = sorted(operation.access.roles)
    if operation.body:
        about["requestBody"] = dict(operation.body)
    return about


def _headers(status: HTTPStatus) -> dict[str, Any] | None:
    if status not in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    schema = {"type": "integer"}
    return {
        "Retry-After": {"description": "seconds until another try is worth it", "schema": schema}
    }
