"""Where an endpoint may lie: on the public internet, or in private networks that are named. Pure.

What a name leads to is checked when a connection is made, each time (egress/).
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from fhirbridge.egress.exchange import Request, UnsendableRequestError
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.errors import BridgeError

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
PRIVATE = (
    *LOOPBACK,
    *(
        ip_network(one)
        for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
    ),
)
LONGEST_URL = 2000
# The last part of a host that some resolvers take for an address: 2130706433, 0x7f.1, 127.1
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")


class AddressError(BridgeError):
    """An endpoint's address, or a network for it, cannot be used."""

    code = "E451"


def policy(networks: Sequence[str]) -> NetworkPolicy:
    """Return what may be reached where these private networks were named."""
    named = tuple(ip_network(one) for one in networks)
    return NetworkPolicy(
        allow_loopback=any(_is_within(one, LOOPBACK) for one in named), allowed=named
    )


def checked_networks(networks: Sequence[str]) -> tuple[str, ...]:
    """Return private networks in their usual form. Raises AddressError."""
    try:
        named = [ip_network(one) for one in networks]
    except ValueError:
        named = []
    if len(named) != len(networks) or not all(_is_within(one, PRIVATE) for one in named):
        raise AddressError(
            "--allow-network is a private network, written like 10.20.0.0/16 or fd00::/48",
            hint="leave it out where the receiver is on the public internet",
        )
    return tuple(str(one) for one in named)


def checked_url(url: str, networks: Sequence[str]) -> str:
    """Return an address to which messages may be sent. Raises AddressError."""
    try:
        Request(method="POST", url=url, headers={})
        parts = urlsplit(url)
    except (UnsendableRequestError, ValueError):
        raise AddressError(
            "the address must be https://HOST[:PORT]/PATH, without user name, password or fragment",
            hint="percent-encode what is no plain ASCII",
        ) from None
    if len(url) > LONGEST_URL:
        raise AddressError(f"the address is longer than {LONGEST_URL} characters")
    allowed = policy(networks)
    refusal = _refusal(
        (parts.hostname or "").lower().rstrip("."), allowed, plain=parts.scheme == "http"
    )
    if refusal:
        raise AddressError(
            f"this address is not sent to: {refusal}",
            hint="https to the public internet; a hospital's own network: --allow-network CIDR",
        )
    return url


def _refusal(host: str, allowed: NetworkPolicy, *, plain: bool) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return _refused_name(host, allowed, plain=plain)
    return allowed.refusal(address, plain=plain)


def _refused_name(host: str, allowed: NetworkPolicy, *, plain: bool) -> str:
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        return "a number that is no address"
    if host == "localhost" or host.endswith(".localhost"):
        return "" if allowed.allow_loopback else "loopback address"
    return "plain http" if plain else ""


def _is_within(
    network: IPv4Network | IPv6Network, around: Sequence[IPv4Network | IPv6Network]
) -> bool:
    return any(
        network.subnet_of(one)  # type: ignore[arg-type]  # of one version, as is asked first
        for one in around
        if one.version == network.version
    )
