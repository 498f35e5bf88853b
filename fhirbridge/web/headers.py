"""Security headers on every answer, whatever made it."""

from flask import Flask, Response

API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Own files only; the stylesheet's pictures stand inside it.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Where an answer says nothing else: it may hold PHI, and it is no page.
UNLESS_SAID = {"Cache-Control": "no-store", "Content-Security-Policy": API_POLICY}


def protect(app: Flask) -> None:
    """Add the headers to every answer of this application."""
    app.after_request(_add)


def _add(response: Response) -> Response:
    response.headers.update(ALWAYS)
    for name, text in UNLESS_SAID.items():
        response.headers.setdefault(name, text)
    return response
