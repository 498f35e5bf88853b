"""The web application: routes that the guard knows, and one way for failures, headers and log."""

from flask import Flask
from werkzeug.routing import BaseConverter

from fhirbridge import opening, settings
from fhirbridge.access.rates import Rates
from fhirbridge.bridge import Bridge
from fhirbridge.errors import BridgeError
from fhirbridge.rng import SystemRng
from fhirbridge.web import (
    access_log,
    api_bulk,
    api_deliveries,
    api_destinations,
    api_export,
    api_fhir,
    api_page,
    api_pull,
    api_records,
    api_status,
    api_stock,
    api_webhooks,
    ehr_hooks,
    exchange,
    headers,
    jwks,
    openapi,
    problems,
)
from fhirbridge.web.guard import Guard
from fhirbridge.web.query import OPAQUE


class DebugModeError(BridgeError):
    """Flask's debug mode is on; it shows what it handles, and runs code, for whoever asks."""

    code = "E808"


class OpaqueName(BaseConverter):
    """What may stand in an address: ids that we gave, and names of destinations and files."""

    regex = OPAQUE.pattern


def create_app(
    bridge: Bridge | None = None,
    *,
    most_bytes: int | None = None,
    requests_per_second: int | None = None,
) -> Flask:
    """Return the application in front of `bridge`; what is not given comes from the settings.

    `most_bytes`: of one body; `requests_per_second`: of one caller, for long; 0: without a limit.

    Raises DebugModeError, MappingError with all mistakes, and whatever opening a bridge raises.
    The bridge is found again in `app.extensions["fhirbridge"]`.
    """
    if bridge is None or most_bytes is None or requests_per_second is None:
        chosen = settings.read()
        bridge = bridge or opening.open_bridge(chosen)
        most_bytes = most_bytes or chosen.most_bytes
        if requests_per_second is None:
            requests_per_second = chosen.requests_per_second
    bridge.warm_up()
    app = _bare(most_bytes)
    app.extensions[exchange.BRIDGE] = bridge
    guard = Guard(bridge, Rates(bridge.clock, requests_per_second))
    # What runs before a request runs in this order, what runs after it in the other.
    access_log.keep(app, SystemRng())
    guard.watch(app)
    headers.protect(app)
    problems.answer_failures(app)
    _open_routes(app, guard)
    return app


def _bare(most_bytes: int) -> Flask:
    app = Flask(__name__, static_folder=None)
    if app.debug:
        raise DebugModeError("the debug mode is on", hint="unset FLASK_DEBUG, drop --debug")
    exchange.limit_bodies(app, most_bytes)
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # A redirect would be built from the Host header, which is anybody's.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["default"] = OpaqueName
    return app


def _open_routes(app: Flask, guard: Guard) -> None:
    operations = (
        *api_webhooks.OPERATIONS,
        *api_records.OPERATIONS,
        *api_bulk.OPERATIONS,
        *api_stock.OPERATIONS,
        *api_pull.OPERATIONS,
        *api_deliveries.OPERATIONS,
        *api_destinations.OPERATIONS,
        *api_export.OPERATIONS,
        *api_fhir.OPERATIONS,
        *api_status.OPERATIONS,
        *jwks.OPERATIONS,
    )
    document = openapi.open_routes(app, guard, operations)
    for page in (*api_page.pages(document), *api_status.PAGES, *ehr_hooks.PAGES):
        endpoint = page.view.__name__
        app.add_url_rule(page.rule, endpoint, page.view, methods=page.methods)
        guard.declare(endpoint, page.access, page.room)
