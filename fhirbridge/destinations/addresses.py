"""Where an EHR may be reached: addresses and private networks, checked. Pure."""

import re
from collections.abc import Sequence
from ipaddress import ip_network
from urllib.parse import urlsplit

from fhirbridge.destinations.errors import DestinationError

VISIBLE = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blank and backslash


def checked_url(url: str) -> str:
    """Return the FHIR base address without a trailing slash. Raises DestinationError."""
    if not _is_base(url):
        raise DestinationError(
            "the address must be http(s)://HOST[:PORT]/PATH, without query, fragment or password",
            hint="give the FHIR base address, the one under which /metadata answers",
        )
    return url.rstrip("/")


def _is_base(url: str) -> bool:
    if not VISIBLE.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        named = parts.hostname and parts.port != 0
    except ValueError:
        return False
    more = parts.query or parts.fragment or "@" in parts.netloc
    return bool(parts.scheme in ("http", "https") and named and not more)


def checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Return private networks in their usual form. Raises DestinationError."""
    try:
        return tuple(str(ip_network(one)) for one in networks)
    except ValueError:
        raise DestinationError(
            "a network is written like 10.20.0.0/16 or fd00::/8",
            hint="give the network in which the EHR answers",
        ) from None
