"""Clinic systems send a backlog line by line, and read what became of each line meanwhile."""

import io
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Response, current_app, request, stream_with_context
from werkzeug.wsgi import get_input_stream

from fhirbridge.access.tokens import Role
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records.lines import Stream, lines
from fhirbridge.web import schemas
from fhirbridge.web.api_records import REFUSALS
from fhirbridge.web.exchange import MOST_BYTES, NDJSON, bridge, check_media
from fhirbridge.web.guard import caller
from fhirbridge.web.routes import Operation, only

AT_ONCE = 2  # of eight threads: a backlog must not keep what is live waiting
SHOWN = ("status", "state", "id", "code", "detail", "findings")
SLOTS = threading.BoundedSemaphore(AT_ONCE)


class BusyError(BridgeError):
    """As many backlogs as may come at once are coming."""

    code = "E245"
    http_status = HTTPStatus.TOO_MANY_REQUESTS


def bulk() -> Response:
    """Send many session records or stock documents, one to a line (NDJSON).

    Each line is stored for itself, behind all that is live, and answered by a line at once: read
    them while you send. What was answered 202 is stored, whatever happens after; send the rest, or
    all of it, again: what is there already is a repeat. The last line counts them. Where it is
    missing the connection was cut; where its status is 503 go on from its line.
    """
    check_media(NDJSON)
    place = _Place()
    answers = _answers(place, caller().actor, current_app.config[MOST_BYTES])
    response = Response(stream_with_context(answers), content_type=NDJSON)
    response.call_on_close(place.leave)  # where nobody reads to the end
    return response


class _Place:
    """One of the places for a backlog; it is left once, however often that is said."""

    def __init__(self) -> None:
        """Take it. Raises BusyError."""
        if not SLOTS.acquire(blocking=False):
            raise BusyError(
                f"{AT_ONCE} backlogs are coming in at this moment", hint="wait for the end of one"
            )
        self._left = threading.Lock()

    def leave(self) -> None:
        if self._left.acquire(blocking=False):
            SLOTS.release()


def _answers(place: _Place, actor: str, most: int) -> Iterator[bytes]:
    try:
        yield from _by_line(actor, most)
    finally:
        place.leave()


def _by_line(actor: str, most: int) -> Iterator[bytes]:
    number, refused = 0, 0
    for number, raw in enumerate(lines(_body(), most), start=1):
        if raw is not None and not raw.strip():
            continue
        try:
            done = _too_long(most) if raw is None else bridge().take_item(raw, actor=actor)
        except BridgeError as error:
            yield _line(number, {**END, "status": 503, "state": "broken off", "code": error.code})
            return
        refused += done["state"] == "refused"
        yield _line(number, {name: done[name] for name in SHOWN})
    told = f"{refused} refused" if refused else ""
    yield _line(number, {**END, "status": 200, "state": "complete", "detail": told})


END: dict[str, Any] = {"id": "", "code": "", "detail": "", "findings": []}


def _line(number: int, values: dict[str, Any]) -> bytes:
    return codec.encode({"line": number, **values}) + b"\n"


def _too_long(most: int) -> dict[str, Any]:
    return {
        **END,
        "status": int(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        "state": "refused",
        "detail": f"the line has more than {most} bytes",
    }


def _body() -> Stream:
    """Return the body so that a line is had as soon as it came, and not byte by byte.

    Not `request.stream`: that has the limit which here each line has.
    """
    stream = get_input_stream(request.environ)
    return io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream


OPERATIONS = (
    Operation(
        room="records",
        method="POST",
        rule="/api/v1/records/bulk",
        view=bulk,
        access=only(Role.INTEGRATOR, Role.ADMIN),
        body={
            "required": True,
            "content": {
                NDJSON: {"schema": {"type": "string", "description": "a record on each line"}}
            },
        },
        answers={HTTPStatus.OK: schemas.BulkLine},
        media=NDJSON,
        refusals={
            **REFUSALS,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "not application/x-ndjson, or compressed",
            HTTPStatus.TOO_MANY_REQUESTS: "you ask too often, or as many backlogs as may come "
            "at once are coming",
        },
    ),
)
