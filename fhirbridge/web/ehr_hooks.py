"""EHRs call us when something changed there: a hint, answered before anything is looked at."""

from http import HTTPStatus

from flask import Response

from fhirbridge.subscriptions.wanted import HOOK
from fhirbridge.web.exchange import bridge, short_body
from fhirbridge.web.guard import notifier
from fhirbridge.web.routes import EHR, Page

MOST_BYTES = 65_536  # a longer one is a hint as well; what it holds is not read
RULE = f"{HOOK}<token>"


def ehr_hook(token: str) -> Response:  # noqa: ARG001  the guard knows whose it is
    """Take a notification of R4, or of the Backport: POST, with a body or none."""
    bridge().subscriptions.notified(notifier().name, short_body(MOST_BYTES))
    return Response(status=HTTPStatus.OK)


def ehr_hook_resource(token: str, kind: str, own: str) -> Response:  # noqa: ARG001  HAPI says so
    """Take what HAPI sends where a payload is asked for: PUT of the resource, below the address."""
    return ehr_hook(token)


PAGES = (
    Page(rule=RULE, view=ehr_hook, access=EHR, methods=("POST", "PUT")),
    Page(rule=f"{RULE}/<kind>/<own>", view=ehr_hook_resource, access=EHR, methods=("POST", "PUT")),
)
