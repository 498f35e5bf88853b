"""Any failure becomes one problem+json (RFC 9457), or an OperationOutcome; here, nowhere else.

It names what the caller can mend. What went wrong inside stays inside: the caller gets a request
id, the log has the rest under it.
"""

import errno
from http import HTTPStatus
from types import TracebackType
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import BadRequest, HTTPException

from fhirbridge import log
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.findings import shown
from fhirbridge.web import fhir_outcomes

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = "5"
INSIDE = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "something failed inside; the log has it under this request",
    HTTPStatus.SERVICE_UNAVAILABLE: "the service cannot do this now; nothing was stored",
}
HINTS = {
    HTTPStatus.INTERNAL_SERVER_ERROR: "give the request id to whoever runs the service",
    HTTPStatus.SERVICE_UNAVAILABLE: "try again; a record that is sent twice is kept once",
}
DETAILS = {
    HTTPStatus.BAD_REQUEST: "the request cannot be read",
    HTTPStatus.NOT_FOUND: "there is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "this address does not take this method",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "the body is larger than this service takes",
}
HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Bearer realm="fhirbridge"'},
    HTTPStatus.FORBIDDEN: {
        "WWW-Authenticate": 'Bearer realm="fhirbridge", error="insufficient_scope"'
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": RETRY_SECONDS},
    HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": RETRY_SECONDS},
}


def answer_failures(app: Flask) -> None:
    """Take over every failure of this application."""
    app.register_error_handler(BridgeError, _expected)
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _unexpected)


def _expected(error: BridgeError) -> Response:
    status = HTTPStatus(error.http_status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _note(error)
    more: dict[str, Any] = {"code": error.code}
    if isinstance(error, InvalidRecordError):
        more["findings"] = [shown(found) for found in error.findings]
    hint = HINTS.get(status, error.hint)
    if hint:
        more["hint"] = hint
    kind = f"urn:fhirbridge:error:{error.code}"
    detail, issue = INSIDE.get(status, error.message), getattr(error, "issue", "")
    return _problem(status, kind=kind, detail=detail, more=more, issue=issue)


def _refused(error: HTTPException) -> Response:
    """Answer what Flask refused. Its own text is not used: it may repeat what was sent."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    response = _problem(status, kind="about:blank", detail=DETAILS.get(status, status.phrase))
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _unexpected(error: Exception) -> Response:
    if g.get("reading"):
        # A body that is broken on the way: each server has errors of its own for that.
        return _refused(BadRequest())
    _note(error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    if _is_lack(error):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    more = {"hint": HINTS[status]}
    return _problem(status, kind="about:blank", detail=INSIDE[status], more=more)


def _is_lack(error: Exception) -> bool:
    """Say whether memory or file descriptors ran out: that passes, and the sender tries again."""
    lacks = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in lacks)


def _problem(
    status: HTTPStatus,
    *,
    kind: str,
    detail: str,
    more: dict[str, Any] | None = None,
    issue: str = "",
) -> Response:
    document = {
        "type": kind,
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "instance": f"urn:fhirbridge:request:{g.request_id}",
        **(more or {}),
    }
    g.problem = document.get("code", "")
    headers = HEADERS.get(status, {})
    if fhir_outcomes.is_fhir(request.path):
        said = fhir_outcomes.outcome(document, issue)
        return Response(codec.encode(said), status, headers, content_type=fhir_outcomes.MEDIA)
    return Response(codec.encode(document), status, headers, content_type=PROBLEM_JSON)


def _note(error: Exception) -> None:
    """Log what failed and where in the code; never its text, which may hold what it handled."""
    code = error.code if isinstance(error, BridgeError) else ""
    kind = type(error).__name__
    place = _place(error.__traceback__)
    log.get().error("request.failed", kind=kind, code=code, reason=place, request=g.request_id)


def _place(trace: TracebackType | None) -> str:
    """Name the module and line of ours in which an error came up."""
    place = ""
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.startswith("fhirbridge."):
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
