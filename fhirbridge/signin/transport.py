"""A transport that signs each request in. A refused one is sent once more with a fresh token."""

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus

from fhirbridge.clock import Clock
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.egress.way import Way
from fhirbridge.errors import BridgeError
from fhirbridge.rng import Rng
from fhirbridge.signin import methods, scopes
from fhirbridge.signin.book import Book, Kept
from fhirbridge.signin.keys import Keys, Signer
from fhirbridge.signin.methods import NO_SECRETS, OPEN, Method
from fhirbridge.signin.smart import Smart
from fhirbridge.signin.tokens import Denied, Held, Tokens
from fhirbridge.store.engine import Store

SIGN_IN = "sign-in: "
OUR_CERTIFICATE = "tls: client certificate"

_BEARER_ERROR = re.compile(r'error="(invalid_request|invalid_token|insufficient_scope)"')

Outcome = Response | NotSent | Unknown
Connect = Callable[[Destination, Way], Transport]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What signing in works with."""

    store: Store
    clock: Clock
    rng: Rng
    book: Book
    keys: Keys
    tokens: Tokens
    connect: Connect
    proxy: str  # the installation's, or ""


class SignedIn:
    """The way to one destination, as whoever it is set at the moment of each request."""

    def __init__(self, rooms: Rooms, destination: Destination) -> None:
        self._rooms = rooms
        self._destination = destination

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        """Do one exchange, signed in; NotSent (`refused`) where nobody lets us in.

        Fetching a token and sending the request again are within the same deadline.
        """
        try:
            ready = self._ready(deadline_seconds)
        except BridgeError as error:
            return _not_ready(error)
        if isinstance(ready, NotSent):
            return ready
        if ready.kept.settings.method is Method.SMART:
            return self._with_token(request, ready)
        headers = {**request.headers, **_fixed(ready.kept)}
        return _explained(ready.wire.send(headers, request))

    def _ready(self, deadline_seconds: float) -> "_Ready | NotSent":
        """Read how we sign in now, and open the way."""
        rooms, name, base_url = self._rooms, self._destination.name, self._destination.base_url
        with rooms.store.read() as tx:
            kept = rooms.book.find(tx, name) or _nothing_set(name)
            signs = kept.settings.method is Method.SMART and rooms.keys.signs(tx, name)
        lacking = methods.lacking(kept.settings, kept.secrets, base_url, signs=signs)
        if lacking:
            words = f"{lacking} is not set: fhirbridge destination sign-in {name}"
            return NotSent(reason=SIGN_IN + words, refused=True)
        way = methods.way(kept.settings, kept.secrets, base_url, default_proxy=rooms.proxy)
        wire = _Within(rooms.connect(self._destination, way), rooms.clock, deadline_seconds)
        return _Ready(kept=kept, wire=wire)

    def _with_token(self, request: Request, ready: "_Ready") -> Outcome:
        held = self._token(ready)
        if isinstance(held, NotSent):
            return held
        outcome = self._try(request, held, ready.wire)
        if not _is_unauthorized(outcome):
            return outcome
        # It was refused, so it was not done: the same request may go once more.
        fresh = self._token(ready, instead_of=held)
        if isinstance(fresh, NotSent):
            return fresh
        again = self._try(request, fresh, ready.wire)
        if isinstance(again, Response) and _is_unauthorized(again):
            with suppress(BridgeError):  # whoever sends it next is refused as well
                self._rooms.tokens.refuse(ready.kept, fresh)
            more = f"; {again.note}" if again.note else ""
            return replace(again, note=f"also with a fresh token{more}")
        return again

    def _token(self, ready: "_Ready", *, instead_of: Held | None = None) -> Held | NotSent:
        smart = Smart(
            transport=ready.wire.inner,
            clock=self._rooms.clock,
            rng=self._rooms.rng,
            base_url=self._destination.base_url,
            settings=ready.kept.settings,
            signer=self._signer,
        )
        try:
            if instead_of is not None:
                self._rooms.tokens.refuse(ready.kept, instead_of)
            found = self._rooms.tokens.get(ready.kept, smart.fetch)
        except BridgeError as error:
            return _not_ready(error)
        if isinstance(found, Denied):
            return NotSent(reason=SIGN_IN + found.reason, refused=found.refused)
        return found

    def _signer(self) -> Signer | None:
        with self._rooms.store.read() as tx:
            return self._rooms.keys.signer(tx, self._destination.name)

    def _try(self, request: Request, held: Held, wire: "_Within") -> Outcome:
        headers = {**request.headers, "Authorization": f"Bearer {held.token}"}
        outcome = _explained(wire.send(headers, request))
        if isinstance(outcome, Response) and outcome.status == HTTPStatus.FORBIDDEN:
            named = scopes.missing(request, self._destination.base_url, outcome, held.scopes)
            return replace(outcome, note=f"missing scope: {named}" if named else outcome.note)
        return outcome


class _Within:
    """Sends what is left of one deadline."""

    def __init__(self, inner: Transport, clock: Clock, deadline_seconds: float) -> None:
        self.inner = inner
        self._clock = clock
        self._ends = clock.monotonic() + deadline_seconds

    def send(self, headers: dict[str, str], request: Request) -> Outcome:
        left = self._ends - self._clock.monotonic()
        if left <= 0:
            return NotSent(reason=f"{SIGN_IN}timeout")
        return self.inner.send(replace(request, headers=headers), deadline_seconds=left)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Ready:
    kept: Kept
    wire: _Within


def _nothing_set(name: str) -> Kept:
    return Kept(id="", destination=name, settings=OPEN, secrets=NO_SECRETS)


def _not_ready(error: BridgeError) -> NotSent:
    """Nothing of the request went out: it may be tried again when this is mended."""
    return NotSent(reason=f"{SIGN_IN}{error.code} {error.message}")


def _fixed(kept: Kept) -> dict[str, str]:
    """Return the header that says who we are, where it is the same each time."""
    match kept.settings.method:
        case Method.BEARER:
            return {"Authorization": f"Bearer {kept.secrets.secret}"}
        case Method.BASIC:
            # UTF-8, as RFC 7617 advises where the server says nothing.
            pair = f"{kept.settings.client}:{kept.secrets.secret}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return {}


def _explained(outcome: Outcome) -> Outcome:
    if isinstance(outcome, NotSent) and outcome.reason.startswith(OUR_CERTIFICATE):
        return replace(outcome, refused=True)
    if isinstance(outcome, Response) and _is_unauthorized(outcome):
        said = _BEARER_ERROR.search(outcome.headers.get("www-authenticate", ""))
        return replace(outcome, note=said[1] if said else "")
    return outcome


def _is_unauthorized(outcome: Outcome) -> bool:
    return isinstance(outcome, Response) and outcome.status == HTTPStatus.UNAUTHORIZED
