"""Read a request's body within its limits; write an answer in which decimals keep their digits."""

from http import HTTPStatus
from typing import Any, cast

from flask import Response, current_app, request
from werkzeug.exceptions import ClientDisconnected

from fhirbridge.bridge import Bridge
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

BRIDGE = "fhirbridge"
JSON = "application/json"


class NotJsonMediaError(BridgeError):
    """The body is said to be something else than plain JSON."""

    code = "E913"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def bridge() -> Bridge:
    """Return the bridge behind this application."""
    return cast(Bridge, current_app.extensions[BRIDGE])


def body() -> bytes:
    """Return the bytes that were sent; they are JSON by name only.

    Raises NotJsonMediaError, or werkzeug's RequestEntityTooLarge past MAX_CONTENT_LENGTH, with or
    without a length in the header.
    """
    if request.mimetype != JSON or request.content_encoding:
        raise NotJsonMediaError(
            "the body must be JSON that is not compressed", hint=f"send Content-Type: {JSON}"
        )
    try:
        return request.get_data(cache=False)
    except OSError:
        raise ClientDisconnected from None


def answer(value: Any, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    """Write one JSON answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(codec.encode(value), status, named, content_type=JSON)
