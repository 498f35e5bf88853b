"""`Idempotency-Key`: what a client sends again under one key is done once, and answered alike."""

import re
from http import HTTPStatus
from typing import Any

from flask import request

from fhirbridge.errors import BridgeError
from fhirbridge.intake.once import Message
from fhirbridge.web.guard import caller

NAME = "Idempotency-Key"
KEY = re.compile(r"[!-~]{1,255}")
PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": NAME,
    "schema": {"type": "string"},
    "description": "1 to 255 visible characters; the same key with the same body is answered as "
    "the first time, with another body it is refused",
}


class BadKeyError(BridgeError):
    """The key cannot be used."""

    code = "E244"
    http_status = HTTPStatus.BAD_REQUEST


def action() -> Message | None:
    """Return an action on what the path names, under the key that came with it, as `message` does.

    The key belongs to this path: on another one it is refused.
    """
    return message(request.path.encode())


def message(body: bytes) -> Message | None:
    """Return the body under the key that came with it, or None where none came.

    Of this client and route alone: what others send under the same key is not touched by it. Raises
    BadKeyError.
    """
    key = request.headers.get(NAME)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        raise BadKeyError(
            f"the {NAME} is 1 to 255 visible characters without blanks",
            hint="send a random one, such as a UUID, and the same one when you try again",
        )
    return Message(scope=f"api:{caller().id}:{request.endpoint}", id=key, body=body)
