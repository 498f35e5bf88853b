"""One HTTP exchange as values, and the two ports behind it. Light: nothing here opens anything."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from fhirbridge.errors import BridgeError

METHODS = frozenset({"DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"})

# Headers that frame or route a message: two opinions on these are how requests are smuggled.
OURS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)

_URL = re.compile(r"[!-\[\]-~]+")  # visible ASCII, no backslash
_HOST = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?|")


class UnsendableRequestError(BridgeError):
    """A request that must not be written on a wire; a mistake in our code or in a setting."""

    code = "E701"


class UnresolvedError(BridgeError):
    """A resolver found no address; `message` is a few stable words, such as `no such name`."""

    code = "E702"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Request:
    """What to send. `url` is absolute http(s) in ASCII; made only when nothing can be injected.

    Raises UnsendableRequestError; its text names the header or the part of the URL, never a value.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be sent, and keep a copy of the headers that nobody can change."""
        if self.method not in METHODS:
            message = "The method is not one of " + ", ".join(sorted(METHODS)) + "."
            raise UnsendableRequestError(message)
        _check_url(self.url)
        for name, value in self.headers.items():
            _check_header(name, value)
        if len({name.lower() for name in self.headers}) != len(self.headers):
            message = "A header is given twice, in different case."
            raise UnsendableRequestError(message)
        object.__setattr__(self, "headers", MappingProxyType(dict(self.headers)))

    def __repr__(self) -> str:
        """Show where it goes; headers, query and body may hold secrets or PHI."""
        parts = urlsplit(self.url)
        return f"Request({self.method} {parts.scheme}://{parts.netloc}{parts.path})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Response:
    """A complete answer of any status. Header names in lower case; `body` is already inflated."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    note: str = ""  # ours: what is known besides of why it was refused; safe to log

    def __repr__(self) -> str:
        """Show the status and the size; the rest may hold PHI."""
        return f"Response({self.status}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSent:
    """No byte of the request left this machine, so it may be sent again.

    `reason` is `where: what`, such as `connect: refused`; it never changes meaning or holds PHI.
    """

    reason: str
    refused: bool = False  # our sign-in was: another try would be refused as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Sending began and no complete answer came: the server may have acted on it, or not."""

    reason: str


class Transport(Protocol):
    """How the rest of the program reaches another machine."""

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        """Do one exchange within `deadline_seconds`, all told. Never raises for the network."""
        ...


class Resolver(Protocol):
    """How a host name becomes addresses; asked once for each connection."""

    def resolve(
        self, host: str, *, timeout_seconds: float
    ) -> tuple[IPv4Address | IPv6Address, ...]:
        """Return every address of `host`, or raise UnresolvedError within `timeout_seconds`."""
        ...


def _check_url(url: str) -> None:
    if not _URL.fullmatch(url):
        message = "The URL has a character that must be percent-encoded."
        raise UnsendableRequestError(message)
    try:
        parts = urlsplit(url)
        wrong = _wrong_part(parts)
    except ValueError:
        wrong = "host or port"
    if wrong:
        message = f"The URL has no usable {wrong}."
        hint = "Write http(s)://host[:port]/path, without a user name, password or fragment."
        raise UnsendableRequestError(message, hint=hint)


def _wrong_part(parts: SplitResult) -> str:
    """Name the first part that will not do, or return an empty text; may raise ValueError."""
    if parts.scheme not in {"http", "https"}:
        return "scheme"
    if "@" in parts.netloc or parts.fragment:
        return "host: it carries a user name, or the URL ends in a fragment"
    host = parts.hostname or ""
    if "[" in parts.netloc:
        IPv6Address(host)
        return "host" if "%" in host else ""
    return "" if _HOST.fullmatch(host) and parts.port != 0 else "host or port"


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        message = "A header name has a character that is not allowed."
        raise UnsendableRequestError(message)
    if name.lower() in OURS or name.lower().startswith("proxy-"):
        message = f"The header {name} is set by the transport."
        raise UnsendableRequestError(message)
    if not _HEADER_VALUE.fullmatch(value):
        message = f"The header {name} has a line break, a control or non-ASCII character, or space"
        message += " at its edge."
        raise UnsendableRequestError(message)
