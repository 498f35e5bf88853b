"""One event per request: which route, what came of it, who asked. Never the address or the body."""

from flask import Flask, Response, g, request

from fhirbridge import log
from fhirbridge.rng import Rng, new_id

# A method is the sender's text; only what we know is repeated.
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
UNKNOWN = "unknown"
# It repeats a request that it cannot read. What stops a start was said before this.
SERVER = "gunicorn.error"


def keep(app: Flask, rng: Rng) -> None:
    """Name every request of this application and log its end; let the server log no request."""

    def begin() -> None:
        g.request_id = new_id(rng)

    log.quieten(SERVER)
    app.before_request(begin)
    app.after_request(_end)


def _end(response: Response) -> Response:
    principal = g.get("principal")
    log.get().info(
        "request.done",
        request=g.request_id,
        route=request.url_rule.rule if request.url_rule else UNKNOWN,
        method=request.method if request.method in METHODS else UNKNOWN,
        status=response.status_code,
        token=principal.name if principal else "",
        code=g.get("problem", ""),
    )
    return response
