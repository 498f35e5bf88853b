"""The API's document, and a page that shows it. All files are our own; nothing is fetched from elsewhere."""

from pathlib import Path

from flask import Response, send_from_directory
from werkzeug.exceptions import NotFound

from fhirbridge.web.headers import PAGE_POLICY
from fhirbridge.web.routes import PUBLIC, Page

STATIC = Path(__file__).parent / "static"
PAGE = "api-page.html"
PARTS = {
    "api-page.js": "api-page.js",
    "swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
    "swagger-ui.css": "swagger-ui/swagger-ui.css",
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
    response = send_from_directory(STATIC, PAGE)
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    return response


def api_page_part(name: str) -> Response:
    """Send one of the page's files; no other file can be asked for."""
    if name not in PARTS:
        raise NotFound
    return send_from_directory(STATIC, PARTS[name])
