"""How to reach one far side: whom to trust, what to show, through which proxy. Opens nothing."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fhirbridge.errors import BridgeError


class BadProxyError(BridgeError):
    """What was given as a proxy is none."""

    code = "E704"


class BadCertificateError(BridgeError):
    """Certificates or a key cannot be used for TLS."""

    code = "E705"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy that makes tunnels (CONNECT); it sees names and ports, not what is said."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Write it as an administrator does."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Way:
    """All texts are PEM, or empty. Hashable, so that what it opens can be kept by it."""

    authorities: str = ""  # instead of the installation's
    certificate: str = ""  # ours, with its chain
    key: str = ""  # of our certificate, not encrypted
    proxy: Proxy | None = None

    def __repr__(self) -> str:
        """Show what there is; a key is a secret."""
        shown = [name for name in ("authorities", "certificate", "key") if getattr(self, name)]
        return f"Way({', '.join(shown)}, proxy={self.proxy})"


DIRECT = Way()


def proxy_of(url: str) -> Proxy:
    """Read `http://HOST:PORT`. Raises BadProxyError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    bare = not (parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme != "http" or not parts.hostname or not port or not bare:
        raise BadProxyError(
            "a proxy is written http://HOST:PORT, without a user name",
            hint="for example http://proxy.hospital.example:3128",
        )
    return Proxy(host=parts.hostname, port=port)
