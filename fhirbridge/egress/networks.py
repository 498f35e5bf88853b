"""Which addresses may be reached. Pure: an address in, a refusal or nothing out.

The tables are written out, since `ipaddress.is_global` has changed its mind between Python
releases (CVE-2024-4032). Source: the IANA special-purpose address registries.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


def _table(rows: dict[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple(
        (ip_network(written), name) for name, nets in rows.items() for written in nets.split()
    )


# Refused even where an administrator allowed a network around them.
_NEVER = _table(
    {
        "loopback address": "127.0.0.0/8 ::1/128",  # as itself: see NetworkPolicy.refusal
        "unspecified address": "0.0.0.0/8 ::/128",
        # AWS, Google, Azure's wire server (a public address), Alibaba, Oracle.
        "metadata address": "169.254.169.254/32 fd00:ec2::254/128 fd20:ce::254/128 "
        "168.63.129.16/32 100.100.100.200/32 192.0.0.192/32",
        "link-local address": "169.254.0.0/16 fe80::/10",
        "multicast address": "224.0.0.0/4 ff00::/8",
        "broadcast address": "255.255.255.255/32",
        # An IPv4 address in IPv6 clothes: no EHR lives there, only ways round this table.
        "tunnelled address": "::/96 ::ffff:0:0:0/96 64:ff9b:1::/48 2001::/32 2002::/16",
    }
)

# Refused unless an administrator named the network.
_NOT_PUBLIC = _table(
    {
        "private address": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "carrier address": "100.64.0.0/10",
        "documentation address": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 "
        "2001:db8::/32 3fff::/20",
        "reserved address": "192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 240.0.0.0/4 2001::/23",
    }
)

_LOOPBACK = _table({"": "127.0.0.0/8 ::1/128"})
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_V6 = IPv6Network("2000::/3")
_ISATAP = (0x00005EFE, 0x02005EFE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy:
    """What this installation may reach: the public internet, and what is named here.

    `allowed` opens private networks (a hospital's own); `allow_loopback` opens 127.0.0.0/8 and
    ::1; `allow_plain_http` lets requests leave the machine without TLS.
    """

    allow_loopback: bool = False
    allow_plain_http: bool = False
    allowed: tuple[Network, ...] = ()

    def refusal(self, address: Address, *, plain: bool = False) -> str:
        """Say why `address` may not be reached (a few stable words), or return an empty text.

        `plain` is a connection without TLS.
        """
        own = unmapped(address)
        if _found(own, _LOOPBACK) is not None:
            return "" if self.allow_loopback else "loopback address"
        # Behind NAT64 the packet ends at the embedded address, which must stand for itself.
        target = _embedded(own)
        refusal = _found(target, _NEVER)
        if refusal is None and not any(own in net or target in net for net in self.allowed):
            refusal = _not_public(target)
        if refusal is None and plain and not self.allow_plain_http:
            refusal = "plain http"
        return refusal or ""


def unmapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv4-mapped IPv6 address is, else the address."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _embedded(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _not_public(address: Address) -> str | None:
    refusal = _found(address, _NOT_PUBLIC)
    if refusal is None and isinstance(address, IPv6Address):
        if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
            refusal = "tunnelled address"
        elif address not in _GLOBAL_V6:
            refusal = "reserved address"
    return refusal


def _found(address: Address, table: Iterable[tuple[Network, str]]) -> str | None:
    return next((name for network, name in table if address in network), None)
