"""An explicit proxy: TLS goes through it end to end, and nothing else does."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from ipaddress import ip_network
from pathlib import Path

import pytest

from fhirbridge.clock import SystemClock
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.egress.way import BadProxyError, Proxy, Way, proxy_of
from tests.egress import certificates, fake_server
from tests.egress.conftest import Serve
from tests.egress.fake_resolver import FakeResolver

NAME = "ehr.example"


class FakeProxy:
    """Answers CONNECT; leads every tunnel to one port of this machine."""

    def __init__(self, to: int, says: bytes = b"HTTP/1.1 200 OK\r\nVia: a proxy\r\n\r\n") -> None:
        self.asked: list[bytes] = []
        self._to, self._says = to, says
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._tunnel, args=(near,), daemon=True).start()

    def _tunnel(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += near.recv(1)
            self.asked.append(head.split(b"\r\n")[0])
            near.sendall(self._says)
            if b" 200 " not in self._says:
                return
            with socket.create_connection(("127.0.0.1", self._to)) as far:
                back = threading.Thread(target=_copy, args=(far, near), daemon=True)
                back.start()
                _copy(near, far)
                back.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def ask(url: str, proxy_port: int, *, ca_file: Path | None = None) -> Response | NotSent | Unknown:
    transport = HttpTransport(
        allowed=NetworkPolicy(allowed=(ip_network("10.0.0.0/8"),)),
        clock=SystemClock(),
        resolver=FakeResolver("127.0.0.1"),  # of the proxy only: the EHR's name is not looked up
        ca_file=ca_file,
        way=Way(proxy=Proxy(host="proxy.example", port=proxy_port)),
    )
    try:
        return transport.send(fake_server.get(url), deadline_seconds=5)
    finally:
        transport.close()


@pytest.fixture
def nothing() -> Iterator[FakeProxy]:
    with closing(FakeProxy(1)) as made:
        yield made


def test_s08_tls_is_spoken_with_the_ehr_through_the_named_proxy(
    serve: Serve, tmp_path: Path
) -> None:
    authority = certificates.authority()
    shown = certificates.server(authority, NAME).context(tmp_path / "server.pem")
    server = serve(context=shown)
    with closing(FakeProxy(server.port)) as proxy:
        ca_file = authority.write(tmp_path / "ca.pem")

        outcome = ask(f"https://{NAME}", proxy.port, ca_file=ca_file)

        assert isinstance(outcome, Response)
        assert proxy.asked == [f"CONNECT {NAME}:443 HTTP/1.1".encode()]
    assert server.seen[0].target == "/fhir/Patient/abc"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://ehr.example", "policy: plain http"),
        ("https://127.0.0.1", "policy: loopback address"),
        ("https://localhost", "policy: loopback address"),
        ("https://2130706433", "policy: loopback address"),
        ("https://0x7f.1", "policy: loopback address"),
        ("https://169.254.169.254", "policy: metadata address"),
        ("https://192.168.1.1", "policy: private address"),
        ("https://[::1]", "policy: loopback address"),
    ],
)
def test_s08_the_proxy_is_not_asked_for_what_may_not_be_reached(
    nothing: FakeProxy, url: str, reason: str
) -> None:
    assert ask(url, nothing.port) == NotSent(reason=reason)
    assert nothing.asked == []


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "proxy: answered 407"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "proxy: answered 302"),
        (b"SSH-2.0-x\r\n\r\n", "proxy: not an HTTP proxy"),
        (b"HTTP/1.1 200 OK", "proxy: hung up"),
        (b"HTTP/1.1 204 " + b"x" * 9000, "proxy: too large"),
    ],
)
def test_what_a_proxy_refuses_was_not_sent(says: bytes, reason: str) -> None:
    with closing(FakeProxy(1, says)) as proxy:
        if reason == "proxy: hung up":
            proxy._says = b"HTTP/1.1 503 "
        assert ask(f"https://{NAME}", proxy.port) == NotSent(reason=reason)


@pytest.mark.parametrize(
    "url", ["https://p:1", "http://p", "p:1", "http://a:b@p:1", "http://p:1/x", "http://p:99999"]
)
def test_what_is_no_proxy_is_refused(url: str) -> None:
    with pytest.raises(BadProxyError):
        proxy_of(url)


def test_a_proxy_is_written_as_it_was_read() -> None:
    assert [proxy_of(one).url for one in ("http://p:3128/", "http://[fd00::1]:8080")] == [
        "http://p:3128",
        "http://[fd00::1]:8080",
    ]
