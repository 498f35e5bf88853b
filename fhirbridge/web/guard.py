"""Default deny: a route is open only to those for whom it was declared, whoever asks.

Nobody without a valid token learns whether a route is there. Whatever fails in here fails closed:
the view is not reached.
"""

from http import HTTPStatus
from typing import NamedTuple, cast

from flask import Flask, g, request
from werkzeug.exceptions import NotFound

from fhirbridge.access import signature
from fhirbridge.access.rates import Rates
from fhirbridge.access.signature import Head
from fhirbridge.access.sources import Source
from fhirbridge.access.tokens import Principal
from fhirbridge.bridge import Bridge
from fhirbridge.errors import BridgeError
from fhirbridge.receiving import Notifier
from fhirbridge.web import exchange
from fhirbridge.web.routes import NOBODY, Access

LONGEST_SECRET = 200  # ours have 54 characters


class NoTokenError(BridgeError):
    """The request carries no token that we know."""

    code = "E911"
    http_status = HTTPStatus.UNAUTHORIZED


class NotAllowedError(BridgeError):
    """The token is good, but not for this."""

    code = "E912"
    http_status = HTTPStatus.FORBIDDEN


class Signed(NamedTuple):
    """A message whose signature was good: who sent it, what it says of itself, its bytes."""

    source: Source
    head: Head
    body: bytes


class Guard:
    """Knows which route is open to whom, and asks before every request."""

    def __init__(self, bridge: Bridge, rates: Rates) -> None:
        self._bridge = bridge
        self._rates = rates
        self._declared: dict[str, tuple[Access, str]] = {}

    def declare(self, endpoint: str, access: Access, room: str) -> None:
        """Open one route, in a room to which tokens may be narrowed."""
        self._declared[endpoint] = access, room

    def watch(self, app: Flask) -> None:
        """Stand before every request of this application."""
        app.before_request(self._check)

    def _check(self) -> None:
        access, room = self._declared.get(request.endpoint or "", (NOBODY, ""))
        if access.public:
            return
        if access.ehr:
            g.principal = self._ehr()
            self._rates.count(f"ehr:{g.principal.name}")
            return
        if access.signed:
            g.signed = self._signed()
            g.principal = g.signed.source
            self._rates.count(g.signed.source.actor)
            return
        principal = g.principal = self._caller()
        self._rates.count(principal.id)
        if request.routing_exception is not None:
            return
        if principal.role not in access.roles:
            self._refuse(principal, f"the role {principal.role} may not use this")
        if not principal.may_enter(room):
            self._refuse(principal, "the token was not made for this part of the API")

    def _ehr(self) -> Notifier:
        """Return which EHR calls. Whoever is none is not told which of the two is wrong."""
        token, secret = str((request.view_args or {}).get("token", "")), _bearer()
        fits = max(len(token), len(secret)) <= LONGEST_SECRET
        known = self._bridge.notifier(token, secret) if fits else None
        if known is None:
            raise NotFound
        return known

    def _caller(self) -> Principal:
        """Return who asks. An unknown caller leaves no evidence: a flood must not fill the log."""
        secret = _bearer()
        known = 0 < len(secret) <= LONGEST_SECRET and self._bridge.authenticate(secret)
        if not known:
            raise NoTokenError(
                "this needs a valid token", hint="send Authorization: Bearer and your token"
            )
        return known

    def _signed(self) -> Signed:
        """Read the message and verify it, before anything looks into it."""
        names = (signature.ID, signature.TIMESTAMP, signature.SIGNATURE)
        head = signature.head({name: request.headers.get(name, "") for name in names})
        body = exchange.body(exchange.JSON, exchange.NDJSON)
        return Signed(self._bridge.verify(head, body), head, body)

    def _refuse(self, principal: Principal, why: str) -> None:
        route = str(request.url_rule)
        self._bridge.refused(actor=principal.actor, reason=NotAllowedError.code, route=route)
        raise NotAllowedError(why, hint="ask your administrator for a token that may")


def _bearer() -> str:
    sent = request.authorization
    return (sent.token or "") if sent is not None and sent.type == "bearer" else ""


def notifier() -> Notifier:
    """Return which EHR was let in. Raises AttributeError where the guard did not run."""
    return cast(Notifier, g.principal)


def caller() -> Principal:
    """Return who was let in. Raises AttributeError where the guard did not run."""
    return cast(Principal, g.principal)


def signed() -> Signed:
    """Return the message that was let in. Raises AttributeError where the guard did not run."""
    return cast(Signed, g.signed)
