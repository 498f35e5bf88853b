"""What one exchange may use, and the only place that opens a socket: resolve, check, pin, connect.

`requests` has timeouts that restart at every byte; here a call has one deadline and one allowance
of bytes, looked at before each read and write.
"""

import socket
import ssl
from contextvars import ContextVar
from enum import StrEnum

from fhirbridge.clock import Clock
from fhirbridge.egress.exchange import Resolver, UnresolvedError
from fhirbridge.egress.networks import Address, NetworkPolicy, unmapped
from fhirbridge.egress.way import Proxy

LONGEST_LOOKUP_SECONDS = 5.0
LONGEST_CONNECT_SECONDS = 5.0

# A firewall drops an idle connection without a word; probes keep it, or tell us that it is gone.
_OPTIONS = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

# OpenSSL's numbers (x509_vfy.h), since its texts name the host.
_BAD_CERTIFICATES = {
    9: "certificate not valid yet",
    10: "certificate expired",
    18: "self-signed certificate",
    19: "unknown issuer",
    20: "unknown issuer",
    21: "unknown issuer",
    62: "certificate of another name",
    64: "certificate of another address",
}
_NOT_TLS = {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
_OLD_TLS = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW"}
# Alerts that a server sends about our certificate, in the handshake only: it did nothing yet.
_OURS_WANTED = {"TLSV13_ALERT_CERTIFICATE_REQUIRED"}
_OURS_REFUSED = {
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "TLSV1_ALERT_ACCESS_DENIED",
    "TLSV1_ALERT_UNKNOWN_CA",
}
OUR_CERTIFICATE = "client certificate"  # how the words for these begin


class Phase(StrEnum):
    """Where an exchange is; the first word of every reason."""

    POLICY = "policy"
    DNS = "dns"
    PROXY = "proxy"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    READ = "read"
    ANSWER = "answer"


class StoppedError(Exception):
    """The exchange cannot go on. Not an OSError, so that urllib3 passes it on as it is."""

    def __init__(self, phase: Phase, what: str) -> None:
        """Keep the reason, which holds neither URL nor content."""
        super().__init__(f"{phase}: {what}")
        self.reason = f"{phase}: {what}"


class Call:
    """One exchange as it runs; it belongs to the thread that makes it."""

    def __init__(
        self,
        *,
        policy: NetworkPolicy,
        resolver: Resolver,
        clock: Clock,
        deadline_seconds: float,
        most_bytes: int,
        proxy: Proxy | None = None,
    ) -> None:
        """`most_bytes` counts all that arrives: status line, headers, framing and body."""
        self.policy = policy
        self.proxy = proxy
        self.resolver = resolver
        self.phase = Phase.CONNECT
        self.began = False  # True just before the first byte of the request may leave
        self._clock = clock
        self._ends = clock.monotonic() + deadline_seconds
        self._allowance = most_bytes

    def remaining(self) -> float:
        """Return the seconds that are left, more than 0, or stop the exchange."""
        left = self._ends - self._clock.monotonic()
        if left <= 0:
            raise StoppedError(self.phase, "timeout")
        return left

    def arm(self, sock: socket.socket) -> None:
        """Let the next operation on `sock` take no longer than the whole call may."""
        sock.settimeout(self.remaining())

    def spend(self, size: int) -> None:
        """Count `size` bytes that arrived, or stop the exchange."""
        self._allowance -= size
        if self._allowance < 0:
            raise StoppedError(Phase.ANSWER, "too large")


CURRENT: ContextVar[Call] = ContextVar("fhirbridge.egress.call")


def dial(host: str, port: int, *, policy: NetworkPolicy, plain: bool) -> socket.socket:
    """Return a socket connected to an address of `host` that was itself checked.

    The name is looked up once and never again, so no later answer can lead elsewhere.
    """
    call = CURRENT.get()
    addresses = _permitted(call, host, policy, plain=plain)
    call.phase = Phase.CONNECT
    for tried, address in enumerate(addresses, start=1):
        share = call.remaining() / (len(addresses) - tried + 1)
        try:
            return _connected(call, address, port, min(share, LONGEST_CONNECT_SECONDS))
        except OSError as error:
            if tried == len(addresses):
                raise StoppedError(Phase.CONNECT, network_words(error)) from error
    raise StoppedError(Phase.DNS, "no address")


def _permitted(call: Call, host: str, policy: NetworkPolicy, *, plain: bool) -> tuple[Address, ...]:
    call.phase = Phase.DNS
    patience = min(call.remaining(), LONGEST_LOOKUP_SECONDS)
    try:
        addresses = call.resolver.resolve(host, timeout_seconds=patience)
    except UnresolvedError as error:
        raise StoppedError(Phase.DNS, error.message) from error
    # One forbidden address among good ones is an attack or a mistake: none of them is used.
    for address in addresses:
        refusal = policy.refusal(address, plain=plain)
        if refusal:
            raise StoppedError(Phase.POLICY, refusal)
    return tuple(unmapped(address) for address in addresses)


def _connected(call: Call, address: Address, port: int, patience: float) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in _OPTIONS:
            sock.setsockopt(*option)
        sock.settimeout(patience)
        sock.connect((str(address), port))
        call.arm(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def network_words(error: OSError) -> str:
    """Say in a few stable words what the network did."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    if isinstance(error, ssl.SSLEOFError):
        return "closed without notice"
    if isinstance(error, ssl.SSLError):
        return _about_ours(error) or "tls failed"
    return "unreachable"


def handshake_words(error: OSError) -> str:
    """Say in a few stable words why no secure connection came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _BAD_CERTIFICATES.get(error.verify_code, "certificate refused")
    if isinstance(error, ssl.SSLEOFError):
        return "closed during the handshake"
    if isinstance(error, ssl.SSLError):
        if error.reason in _NOT_TLS:
            return "not a TLS server"
        if error.reason in _OLD_TLS:
            return "version too old"
        return _about_ours(error) or "handshake failed"
    return network_words(error)


def _about_ours(error: ssl.SSLError) -> str:
    if error.reason in _OURS_WANTED:
        return f"{OUR_CERTIFICATE} wanted"
    return f"{OUR_CERTIFICATE} refused" if error.reason in _OURS_REFUSED else ""
