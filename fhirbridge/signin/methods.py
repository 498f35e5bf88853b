"""The ways to sign in to a destination, as values, and what is wrong with one. Opens nothing."""

import re
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

from fhirbridge.egress.way import DIRECT, Way, proxy_of
from fhirbridge.ehr.rest import is_loopback
from fhirbridge.errors import BridgeError
from fhirbridge.signin import certificates

NO_PROXY = "direct"

_VISIBLE = re.compile(r"[!-~]{1,4096}")
_CLIENT = re.compile(r"[ -~]{1,400}")
_SCOPE = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")  # RFC 6749, section 3.3
_PRINTABLE = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")


class SignInError(BridgeError):
    """A way to sign in cannot be used as asked."""

    code = "E421"
    http_status = HTTPStatus.CONFLICT


class Method(StrEnum):
    """How a request says who sends it; a client certificate goes with any of them."""

    NONE = "none"
    BEARER = "bearer"  # one token that somebody gave us
    BASIC = "basic"  # user name and password
    SMART = "smart"  # SMART Backend Services: tokens for assertions that we sign


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How we sign in to one destination, and by which way it is reached. Nothing secret."""

    method: Method = Method.NONE
    open_allowed: bool = False  # no sign-in, though it is another machine
    client: str = ""  # client id (smart) or user name (basic)
    token_url: str = ""  # smart; "": as the EHR names it
    scopes: str = ""  # smart; space separated
    proxy: str = ""  # http://HOST:PORT, "direct", or "": as the installation's
    authorities: str = ""  # PEM
    certificate: str = ""  # PEM, ours

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Self:
        """Read what `plain` wrote. Raises SignInError where it is something else."""
        wanted = {one.name for one in fields(cls)}
        good = plain.keys() == wanted and all(
            isinstance(value, bool if name == "open_allowed" else str)
            for name, value in plain.items()
        )
        if not good or plain["method"] not in set(Method):
            raise SignInError(f"a sign-in has exactly the fields {', '.join(sorted(wanted))}")
        return cls(**{**plain, "method": Method(plain["method"])})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Secrets:
    """What goes with it and is sealed."""

    secret: str = ""  # the bearer token, or the password
    key: str = ""  # PEM, of our certificate

    def __repr__(self) -> str:
        """Show nothing."""
        return "Secrets(...)"


OPEN = SignIn()
NO_SECRETS = Secrets()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Change:
    """New settings and secrets; None leaves one as it is."""

    method: Method | None = None
    open_allowed: bool | None = None
    client: str | None = None
    token_url: str | None = None
    scopes: str | None = None
    proxy: str | None = None
    authorities: str | None = None
    certificate: str | None = None
    secret: str | None = None
    key: str | None = None

    def __repr__(self) -> str:
        """Show which; a value may be secret."""
        return f"Change({', '.join(self.names)})"

    @property
    def names(self) -> list[str]:
        """Return which are changed."""
        return [one.name for one in fields(self) if getattr(self, one.name) is not None]

    def applied(self, before: SignIn, secrets: Secrets) -> tuple[SignIn, Secrets]:
        """Return both after the change. What another method leaves behind is dropped."""
        if self.method not in (None, before.method):
            before = replace(before, client="", token_url="", scopes="", open_allowed=False)
            secrets = replace(secrets, secret="")
        if self.certificate is not None:
            secrets = replace(secrets, key="")
        chosen = {name: getattr(self, name) for name in self.names}
        new_secrets = {name: chosen.pop(name) for name in ("secret", "key") if name in chosen}
        return replace(before, **chosen), replace(secrets, **new_secrets)


UNCHANGED = Change()


def check(settings: SignIn, secrets: Secrets) -> None:
    """Refuse what cannot be meant, naming the option. Raises SignInError, BadProxyError.

    What is only missing is left to `lacking`.
    """
    wrong = _wrong_text(settings, secrets)
    if wrong:
        raise SignInError(wrong)
    if settings.token_url and not _is_token_url(settings.token_url):
        raise SignInError(
            "--token-url must be https://HOST/PATH without a query, or on this machine",
            hint="it gets our signed assertion; leave it out where the EHR names it",
        )
    if settings.proxy not in ("", NO_PROXY):
        proxy_of(settings.proxy)
    if settings.authorities:
        certificates.read(settings.authorities, "--ca-file")
    if settings.certificate and secrets.key:
        certificates.check_pair(settings.certificate, secrets.key)


def _wrong_text(settings: SignIn, secrets: Secrets) -> str:
    """Name the first text that cannot go where it belongs: a header, a form, a claim."""
    method = settings.method
    if settings.client and not _CLIENT.fullmatch(settings.client):
        return "--client is 1 to 400 printable ASCII characters"
    if method is Method.BASIC and ":" in settings.client:
        return "--client, a user name, cannot have a colon"
    if method is Method.SMART and settings.scopes and not _SCOPE.fullmatch(settings.scopes):
        return "--scope is names with single spaces between them, such as system/*.write"
    if method is Method.BEARER and secrets.secret and not _VISIBLE.fullmatch(secrets.secret):
        return "the secret, a bearer token, is visible ASCII without a space"
    if method is Method.BASIC and secrets.secret and not _PRINTABLE.fullmatch(secrets.secret):
        return "the secret, a password, has a control character"
    return ""


def _is_token_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
    more = parts.query or parts.fragment or "@" in parts.netloc
    return bool(safe and named and not more and _VISIBLE.fullmatch(url))


def lacking(settings: SignIn, secrets: Secrets, base_url: str, *, signs: bool) -> str:
    """Say what is missing before a request may go, or return an empty text.

    `signs`: there is a key that signs for this destination.
    """
    if settings.certificate and not secrets.key:
        return "the key of our certificate (--key)"
    if settings.method is Method.NONE:
        excused = settings.open_allowed or settings.certificate or is_loopback(base_url)
        return "" if excused else "a way to sign in (--sign-in)"
    everything: dict[Method, dict[str, str | bool]] = {
        Method.BEARER: {"the token (--secret-file)": secrets.secret},
        Method.BASIC: {
            "the user name (--client)": settings.client,
            "the password (--secret-file)": secrets.secret,
        },
        Method.SMART: {
            "the client id (--client)": settings.client,
            "the scopes to ask for (--scope)": settings.scopes,
            "a key that signs (fhirbridge destination keys new)": signs,
        },
    }
    wanted = everything[settings.method]
    return next((name for name, there in wanted.items() if not there), "")


def way(settings: SignIn, secrets: Secrets, base_url: str, *, default_proxy: str) -> Way:
    """Return how the destination is reached; nothing on this machine goes through a proxy."""
    proxy = settings.proxy or default_proxy
    direct = proxy in ("", NO_PROXY) or is_loopback(base_url)
    found = Way(
        authorities=settings.authorities,
        certificate=settings.certificate,
        key=secrets.key,
        proxy=None if direct else proxy_of(proxy),
    )
    return DIRECT if found == DIRECT else found
