"""Reach a host directly, or through the named proxy by a tunnel in which TLS is spoken end to end.

Through a proxy the name is looked up there, so what can be checked here is checked: no plain HTTP,
no forbidden address written out as a number.
"""

import re
import socket
from ipaddress import ip_address, ip_network

from fhirbridge.egress import wire
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.way import Proxy
from fhirbridge.egress.wire import CURRENT, Call, Phase, StoppedError, network_words

LONGEST_HEAD = 8192

# An administrator named the proxy, so it may be in any network; what is never reached stays so.
_NAMED = NetworkPolicy(
    allow_loopback=True,
    allow_plain_http=True,
    allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")),
)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?")


def dial(host: str, port: int, *, plain: bool) -> socket.socket:
    """Return a socket at whose other end `host` is; raises StoppedError."""
    call = CURRENT.get()
    if call.proxy is None:
        return wire.dial(host, port, policy=call.policy, plain=plain)
    _check(call, host, plain=plain)
    sock = _at_proxy(call.proxy)
    try:
        _ask(call, sock, host, port)
    except BaseException:
        sock.close()
        raise
    return sock


def _check(call: Call, host: str, *, plain: bool) -> None:
    """Refuse what would go in the clear, and addresses that may not be reached."""
    if plain:
        raise StoppedError(Phase.POLICY, "plain http")
    try:
        refusal = call.policy.refusal(ip_address(host))
    except ValueError:
        # Other spellings of a number, which the proxy would take for an address.
        local = host.rstrip(".").lower() == "localhost" or host.lower().endswith(".localhost")
        numeric = _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2])
        refusal = "loopback address" if local or numeric else ""
    if refusal:
        raise StoppedError(Phase.POLICY, refusal)


def _at_proxy(proxy: Proxy) -> socket.socket:
    try:
        return wire.dial(proxy.host, proxy.port, policy=_NAMED, plain=True)
    except StoppedError as error:
        raise StoppedError(Phase.PROXY, error.reason) from error


def _ask(call: Call, sock: socket.socket, host: str, port: int) -> None:
    call.phase = Phase.PROXY
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        call.arm(sock)
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode("ascii"))
        head = _head(call, sock)
    except OSError as error:
        raise StoppedError(Phase.PROXY, network_words(error)) from error
    status = _STATUS.match(head)
    if status is None:
        raise StoppedError(Phase.PROXY, "not an HTTP proxy")
    if not status[1].startswith(b"2"):
        raise StoppedError(Phase.PROXY, f"answered {status[1].decode('ascii')}")


def _head(call: Call, sock: socket.socket) -> bytes:
    """Read up to the empty line and not a byte more: what follows belongs to the TLS handshake."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        call.arm(sock)
        byte = sock.recv(1)
        if not byte or len(head) >= LONGEST_HEAD:
            raise StoppedError(Phase.PROXY, "too large" if byte else "hung up")
        call.spend(1)
        head += byte
    return head
