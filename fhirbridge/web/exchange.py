"""Read a request's body within its limits; write an answer in which decimals keep their digits."""

from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from fhirbridge.bridge import Bridge
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec

BRIDGE = "fhirbridge"
MOST_BYTES = "MOST_BYTES"
JSON = "application/json"
NDJSON = "application/x-ndjson"
PATH: dict[str, Any] = {"in": "path", "schema": {"type": "string"}}
IF_NONE_MATCH: dict[str, Any] = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "ETag of what you have: 304 without a body where it is still so",
}


class NotJsonMediaError(BridgeError):
    """The body is said to be something else than plain JSON."""

    code = "E913"
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def limit_bodies(app: Flask, most_bytes: int) -> None:
    """Take no body of more than `most_bytes`."""
    app.config[MOST_BYTES] = most_bytes
    # Werkzeug cuts a chunked body off at its limit without a word, so that one is further out.
    app.config["MAX_CONTENT_LENGTH"] = most_bytes + 1


def bridge() -> Bridge:
    """Return the bridge behind this application."""
    return cast(Bridge, current_app.extensions[BRIDGE])


def body(*media: str) -> bytes:
    """Return the bytes that were sent; they are JSON, or one of `media`, by name only.

    Raises NotJsonMediaError, werkzeug's RequestEntityTooLarge (with or without a length in the
    header), or its ClientDisconnected.
    """
    check_media(*(media or (JSON,)))
    g.reading = True
    sent = request.get_data(cache=False)
    g.reading = False
    if len(sent) > current_app.config[MOST_BYTES]:
        raise RequestEntityTooLarge
    return sent


def short_body(most: int) -> bytes:
    """Return what was sent, of any kind; b"" where it is more than `most` bytes or compressed.

    No more than that is read; the server drops the rest. Raises werkzeug's ClientDisconnected.
    """
    if request.content_encoding:
        return b""
    g.reading = True
    sent = get_input_stream(request.environ).read(most + 1)
    g.reading = False
    return b"" if len(sent) > most else sent


def check_media(*media: str) -> None:
    """Refuse a body that is said to be something else than one of these. Raises."""
    if request.mimetype not in media or request.content_encoding:
        raise NotJsonMediaError(
            "the body must be JSON that is not compressed",
            hint=f"send Content-Type: {' or '.join(media)}",
        )


def is_lines() -> bool:
    """Say whether the body holds one document on each line."""
    return request.mimetype == NDJSON


def shown(value: Any) -> Response:
    """Write the state of one thing, or say 304 to a caller who has it as it is.

    Called after it was read, so that the reading is noted in either case.
    """
    response = answer(value)
    response.add_etag()
    response.make_conditional(request)
    return response


def answer(value: Any, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response:
    """Write one JSON answer."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(codec.encode(value), status, named, content_type=JSON)
