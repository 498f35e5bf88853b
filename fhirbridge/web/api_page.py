"""The API's document, and a page that shows it; nothing is fetched from elsewhere."""

from pathlib import Path

from flask import Response, request
from werkzeug.exceptions import NotFound

from fhirbridge.web.headers import PAGE_POLICY
from fhirbridge.web.routes import PUBLIC, Page

STATIC = Path(__file__).parent / "static"
PARTS = {
    "api-page.js": ("api-page.js", "text/javascript"),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", "text/css"),
}


def pages(document: bytes) -> tuple[Page, ...]:
    """Return the public routes that show `document`."""

    def openapi() -> Response:
        return Response(document, content_type="application/json")

    return (
        Page(rule="/api/v1/openapi.json", view=openapi, access=PUBLIC),
        Page(rule="/api/docs", view=api_page, access=PUBLIC),
        Page(rule="/api/docs/<name>", view=api_page_part, access=PUBLIC),
    )


def api_page() -> Response:
    """Show the page."""
    response = _file("api-page.html", "text/html")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def api_page_part(name: str) -> Response:
    """Send one of the page's files; no other file can be asked for."""
    if name not in PARTS:
        raise NotFound
    return _file(*PARTS[name])


def _file(name: str, media_type: str) -> Response:
    """Send a file; a browser that has it already is told so."""
    response = Response((STATIC / name).read_bytes(), mimetype=media_type)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
