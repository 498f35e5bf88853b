"""O18 and S09: who is not proven to be the EHR gets no byte of a request."""

import inspect
import ssl
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Protocol

import pytest

from fhirbridge.clock import SystemClock
from fhirbridge.egress.connections import BadCaFileError, trust
from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.egress.way import Way
from tests.egress import certificates, fake_server
from tests.egress.certificates import DAY, LONG_AGO, Identity
from tests.egress.conftest import MakeTransport, Serve
from tests.egress.fake_resolver import FakeResolver
from tests.egress.fake_server import FakeServer, Step, Talk

NAME = "ehr.example"


@pytest.fixture(scope="module")
def authority() -> Identity:
    return certificates.authority()


@pytest.fixture
def ca_file(authority: Identity, tmp_path: Path) -> Path:
    return authority.write(tmp_path / "ca.pem")


@pytest.fixture
def transport(make_transport: MakeTransport, ca_file: Path) -> HttpTransport:
    """A transport that trusts the test authority, for which every name is this machine."""
    return make_transport(ca_file=ca_file, resolver=FakeResolver("127.0.0.1"))


def put(server: FakeServer) -> Request:
    url = f"https://{NAME}:{server.port}/fhir/Patient/abc"
    return Request(method="PUT", url=url, headers={"Authorization": "Bearer token"}, body=b"{}")


class ServeAs(Protocol):
    def __call__(self, shown: Identity, *steps: Step) -> FakeServer: ...


@pytest.fixture
def serve_as(serve: Serve, tmp_path: Path) -> ServeAs:
    """Start a server that shows this certificate."""

    def start(shown: Identity, *steps: Step) -> FakeServer:
        return serve(*steps, context=shown.context(tmp_path / "server.pem"))

    return start


def test_s09_the_name_asked_for_is_verified_though_its_address_is_pinned(
    serve: Serve, transport: HttpTransport, authority: Identity, tmp_path: Path
) -> None:
    asked: list[str] = []
    context = certificates.server(authority, NAME).context(tmp_path / "server.pem")
    context.sni_callback = lambda _, name, __: asked.append(name)
    server = serve(context=context)

    answers = [transport.send(put(server), deadline_seconds=2) for _ in range(3)]

    assert all(isinstance(answer, Response) for answer in answers)
    assert asked == [NAME]
    assert server.connections == 1


def test_a_certificate_for_an_address_is_taken_for_that_address(
    serve_as: ServeAs, transport: HttpTransport, authority: Identity
) -> None:
    server = serve_as(certificates.server(authority, "127.0.0.1"))
    request = Request(method="GET", url=server.url, headers={})

    assert isinstance(transport.send(request, deadline_seconds=2), Response)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "tls: certificate expired"),
        ("not yet", "tls: certificate not valid yet"),
        ("wrong name", "tls: certificate of another name"),
        ("name in the subject only", "tls: certificate of another name"),
        ("self-signed", "tls: self-signed certificate"),
        ("unknown issuer", "tls: unknown issuer"),
    ],
)
def test_o18_a_certificate_that_proves_nothing_is_refused_before_anything_is_sent(
    serve_as: ServeAs, transport: HttpTransport, authority: Identity, kind: str, reason: str
) -> None:
    tomorrow = SystemClock().now() + DAY
    shown = {
        "expired": certificates.server(authority, NAME, ends=LONG_AGO),
        "not yet": certificates.server(authority, NAME, begins=tomorrow, ends=tomorrow + DAY),
        "wrong name": certificates.server(authority, "other.example"),
        "name in the subject only": certificates.server(authority, subject=NAME),
        "self-signed": certificates.server(None, NAME),
        "unknown issuer": certificates.server(certificates.authority("Another"), NAME),
    }[kind]
    server = serve_as(shown)

    answer = transport.send(put(server), deadline_seconds=2)

    assert answer == NotSent(reason=reason)
    assert server.seen == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_o18_tls_older_than_1_2_is_refused(
    serve: Serve,
    transport: HttpTransport,
    authority: Identity,
    tmp_path: Path,
    version: ssl.TLSVersion,
) -> None:
    context = certificates.server(authority, NAME).context(tmp_path / "server.pem")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
        context.maximum_version = version
    server = serve(context=context)

    answer = transport.send(put(server), deadline_seconds=2)

    assert answer == NotSent(reason="tls: version too old")
    assert server.seen == []


def test_o18_a_plain_server_behind_https_is_refused(serve: Serve, transport: HttpTransport) -> None:
    def plain(talk: Talk) -> None:
        raise AssertionError(talk.seen)

    server = serve(plain)
    server.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"

    answer = transport.send(put(server), deadline_seconds=2)

    assert answer == NotSent(reason="tls: not a TLS server")


def test_o18_a_handshake_that_drips_ends_at_the_total_deadline(
    serve: Serve, transport: HttpTransport
) -> None:
    server = serve()  # waits for the end of a head that never comes
    began = SystemClock().monotonic()

    answer = transport.send(put(server), deadline_seconds=0.3)

    assert answer == NotSent(reason="tls: timeout")
    assert SystemClock().monotonic() - began < 1


def test_o15_an_end_without_a_tls_goodbye_is_a_cut(
    serve_as: ServeAs, transport: HttpTransport, authority: Identity
) -> None:
    end = fake_server.answer_and_hang_up(b"HTTP/1.0 200 OK\r\n\r\n{}")
    server = serve_as(certificates.server(authority, NAME), end)

    answer = transport.send(put(server), deadline_seconds=2)

    assert answer == Unknown(reason="read: closed without notice")


@pytest.fixture(params=["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def environment(
    request: pytest.FixtureRequest, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(request.param, str(ca_file))


@pytest.mark.usefixtures("environment")
def test_s09_no_authority_is_trusted_from_the_environment(
    serve_as: ServeAs, make_transport: MakeTransport, authority: Identity
) -> None:
    transport = make_transport(resolver=FakeResolver("127.0.0.1"))
    server = serve_as(certificates.server(authority, NAME))

    answer = transport.send(put(server), deadline_seconds=2)

    assert answer == NotSent(reason="tls: unknown issuer")


def test_s09_a_private_authority_replaces_the_public_ones(
    serve_as: ServeAs, make_transport: MakeTransport, tmp_path: Path, ca_file: Path
) -> None:
    public = certificates.authority("Public")
    with pytest.MonkeyPatch.context() as patch:
        path = str(public.write(tmp_path / "public.pem"))
        patch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", path)
        patch.setattr("fhirbridge.egress.connections.DEFAULT_CA_BUNDLE_PATH", path)
        local = FakeResolver("127.0.0.1")
        transport = make_transport(resolver=local)
        private = make_transport(ca_file=ca_file, resolver=local)
        server = serve_as(certificates.server(public, NAME))

        trusted = transport.send(put(server), deadline_seconds=2)
        refused = private.send(put(server), deadline_seconds=2)

    assert isinstance(trusted, Response)
    assert refused == NotSent(reason="tls: unknown issuer")


def test_s09_no_session_keys_are_written_for_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert trust(None).keylog_filename is None


def test_s09_verification_has_no_switch() -> None:
    switches = {"verify", "insecure", "check_hostname"}

    context = trust(None)

    assert not switches & set(inspect.signature(HttpTransport).parameters)
    assert list(inspect.signature(trust).parameters) == ["ca_file", "way"]
    assert {one.name for one in fields(Way)} == {"authorities", "certificate", "key", "proxy"}
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(BadCaFileError, match=r"ca\.pem"):
        trust(path)
