"""The sandbox EHR over HTTP. Nothing is bound here: a WSGI server does that."""

import hmac
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from flask import Flask, Response, render_template_string, request
from werkzeug.exceptions import HTTPException

from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.sandbox import calls, capability, page
from fhirbridge.sandbox.model import SandboxEhr
from fhirbridge.sandbox.outcome import Issue, outcome
from fhirbridge.sandbox.storage import MemoryStorage, SqliteStorage

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]
_HEADERS = {
    "X-Sandbox": f"{capability.NAME}; synthetic data only",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}


def create_app(path: Path | str | None = None, *, token: str = "") -> Flask:
    """Return a sandbox that remembers in one SQLite file, or, without one, until it stops.

    With a `token` it lets in only who brings that one as a bearer. Raises SandboxFileError. Call it
    in the process that serves: the file has one owner.
    """
    storage = MemoryStorage() if path is None else SqliteStorage(Path(path))
    return app_for(SandboxEhr(storage=storage, clock=SystemClock()), token=token)


def app_for(ehr: SandboxEhr, *, token: str = "") -> Flask:
    """Return the web application of an EHR model, as above."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = calls.LARGEST_BODY
    # A client must never be led elsewhere, and a redirect would.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False

    @app.get("/")
    def home() -> str:
        return render_template_string(
            page.TEMPLATE, name=capability.NAME, warning=capability.WARNING, counts=ehr.counts()
        )

    @app.route("/fhir", methods=METHODS, defaults={"below": ""})
    @app.route("/fhir/<path:below>", methods=METHODS)
    def fhir(below: str) -> Response:
        return _serve(ehr, below) if _lets_in(token) else _unknown()

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> Response:
        return _refusal(error)

    @app.after_request
    def label(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    return app


def _serve(ehr: SandboxEhr, below: str) -> Response:
    target = quote(below)
    if request.query_string:
        target = f"{target}?{request.query_string.decode('latin-1')}"
    status, headers, body = ehr.handle(
        request.method,
        target,
        dict(request.headers),
        request.get_data(),
        base=f"{request.host_url}fhir",
    )
    response = Response(body, status, headers)
    if request.accept_mimetypes.accept_html and body:
        # A browser shows application/json, but saves application/fhir+json as a file.
        response.content_type = "application/json"
    return response


def _lets_in(token: str) -> bool:
    sent = request.authorization
    brought = (sent.token or "") if sent is not None and sent.type == "bearer" else ""
    return not token or hmac.compare_digest(token.encode(), brought.encode())


def _unknown() -> Response:
    body = codec.encode(outcome("error", Issue.LOGIN, f"no valid token: {capability.NAME}"))
    response = Response(body, HTTPStatus.UNAUTHORIZED, content_type=codec.FHIR_JSON)
    response.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    return response


def _refusal(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    issue = Issue.EXCEPTION if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Issue.INVALID
    body = codec.encode(outcome("error", issue, f"{status.phrase}: {capability.NAME}"))
    return Response(body, status, content_type=f"{codec.FHIR_JSON};charset=utf-8")
