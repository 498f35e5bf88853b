"""S08: no address is reached that was not itself checked, whatever names and answers say."""

import ast
from ipaddress import ip_network
from pathlib import Path

import pytest

from fhirbridge.egress.exchange import NotSent, Request, Response
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from tests.egress import fake_server
from tests.egress.conftest import MakeTransport, Serve
from tests.egress.fake_resolver import FakeResolver
from tests.egress.test_networks import LOOPBACK, NEVER, NOT_PUBLIC

ROOT = Path(__file__).parents[2]
SOON = 0.3
DEFAULT = NetworkPolicy()


def get(url: str) -> Request:
    return Request(method="GET", url=url, headers={"Authorization": "Bearer token"})


@pytest.mark.parametrize("address", [*NEVER, *NOT_PUBLIC, *LOOPBACK])
def test_s08_no_forbidden_address_is_connected_to(
    make_transport: MakeTransport, address: str
) -> None:
    resolver = FakeResolver(address)
    transport = make_transport(allowed=DEFAULT, resolver=resolver)

    answer = transport.send(get("https://ehr.example/fhir"), deadline_seconds=SOON)

    assert isinstance(answer, NotSent)
    assert answer.reason.startswith("policy: ")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::ffff:7f00:1]"],
)
def test_s08_no_spelling_of_loopback_reaches_a_server_that_listens_there(
    serve: Serve, make_transport: MakeTransport, host: str
) -> None:
    server = serve()
    transport = make_transport(allowed=DEFAULT, resolver=SystemResolver())

    answer = transport.send(get(f"http://{host}:{server.port}/"), deadline_seconds=2)

    assert answer == NotSent(reason="policy: loopback address")
    assert server.connections == 0


def test_s08_a_name_that_rebinds_to_loopback_never_reaches_it(
    serve: Serve, make_transport: MakeTransport
) -> None:
    server = serve()
    outside = NetworkPolicy(allow_plain_http=True, allowed=(ip_network("192.0.2.0/24"),))
    resolver = FakeResolver("192.0.2.1", "127.0.0.1")
    transport = make_transport(allowed=outside, resolver=resolver)
    url = f"http://ehr.example:{server.port}/"

    first, second = (transport.send(get(url), deadline_seconds=SOON) for _ in range(2))

    assert isinstance(first, NotSent)
    assert first.reason.startswith("connect: ")
    assert second == NotSent(reason="policy: loopback address")
    assert resolver.asked == ["ehr.example"] * 2
    assert server.connections == 0


def test_s08_a_name_is_looked_up_once_for_a_connection_and_its_answer_is_pinned(
    serve: Serve, make_transport: MakeTransport
) -> None:
    server, trap = serve(), serve()
    resolver = FakeResolver("127.0.0.1", "127.0.0.2")
    transport = make_transport(resolver=resolver)

    answer = transport.send(get(f"http://ehr.example:{server.port}/"), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert resolver.asked == ["ehr.example"]
    assert server.seen[0].headers["host"] == f"ehr.example:{server.port}"
    assert trap.connections == 0


def test_s08_one_forbidden_address_among_good_ones_refuses_them_all(
    serve: Serve, make_transport: MakeTransport
) -> None:
    server = serve()
    transport = make_transport(resolver=FakeResolver("127.0.0.1 10.0.0.1"))

    answer = transport.send(get(f"http://ehr.example:{server.port}/"), deadline_seconds=SOON)

    assert answer == NotSent(reason="policy: private address")
    assert server.connections == 0


def test_s09_plain_http_does_not_leave_the_machine(make_transport: MakeTransport) -> None:
    transport = make_transport(allowed=DEFAULT, resolver=FakeResolver("8.8.8.8"))

    answer = transport.send(get("http://ehr.example/fhir"), deadline_seconds=SOON)

    assert answer == NotSent(reason="policy: plain http")


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 T", "308 P"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_o17_a_redirect_is_an_answer_and_nothing_is_sent_where_it_points(
    serve: Serve, transport: HttpTransport, status: str, scheme: str
) -> None:
    inside = serve()
    to = f"{scheme}://127.0.0.1:{inside.port}/latest/meta-data"
    server = serve(fake_server.redirect(to, status))

    answer = transport.send(get(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert answer.status == int(status.split(maxsplit=1)[0])
    assert answer.headers["location"] == to
    assert inside.connections == 0
    assert len(server.seen) == 1


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_s08_a_proxy_of_the_environment_is_not_used(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server, proxy = serve(), serve()
    monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    answer = transport.send(get(server.url), deadline_seconds=2)

    assert isinstance(answer, Response)
    assert proxy.connections == 0
    assert len(server.seen) == 1


def test_s08_no_password_is_taken_from_a_netrc_file(
    serve: Serve, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve()

    transport.send(Request(method="GET", url=server.url, headers={}), deadline_seconds=2)

    assert "authorization" not in server.seen[0].headers


def test_no_cookie_is_carried_from_one_exchange_to_the_next(
    serve: Serve, transport: HttpTransport
) -> None:
    server = serve(fake_server.answer(fake_server.http(b"", "Set-Cookie: patient=1; Path=/")))

    for _ in range(2):
        transport.send(get(server.url), deadline_seconds=2)

    assert [seen.headers.get("cookie") for seen in server.seen] == [None, None]


def opens_connections(module: str) -> bool:
    """Say whether importing `module` is a way to another machine; urllib.parse is none."""
    top = module.split(".", maxsplit=1)[0]
    doors = {"requests", "urllib3", "socket", "ssl", "ftplib", "smtplib", "httpx", "aiohttp"}
    return top in doors or module.startswith(("urllib.request", "http.client", "xmlrpc"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_s08_no_other_room_can_open_a_connection() -> None:
    egress = ROOT / "fhirbridge" / "egress"
    doors = {
        path: sorted(name for name in imports(path) if opens_connections(name))
        for path in (ROOT / "fhirbridge").rglob("*.py")
    }

    assert {path.name for path in egress.glob("*.py") if doors[path]} == {
        "connections.py",
        "resolver.py",
        "transport.py",
        "tunnel.py",
        "wire.py",
    }
    others = {path for path, names in doors.items() if names and egress not in path.parents}
    # One sets options of sockets that it accepted; one runs in another system, and asks this one.
    assert {path.name for path in others} == {"buffering.py", "client.py"}
