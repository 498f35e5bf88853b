"""Mutual TLS: a server that demands our certificate gets it; what it refuses was not sent."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from fhirbridge.clock import SystemClock
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.egress.way import DIRECT, BadCertificateError, Way
from tests.egress import certificates, fake_server
from tests.egress.certificates import Identity
from tests.egress.conftest import Serve


def pem(identity: Identity) -> str:
    return identity.certificate.public_bytes(serialization.Encoding.PEM).decode()


def key(identity: Identity) -> str:
    plain = serialization.NoEncryption()
    private = serialization.PrivateFormat.PKCS8
    return identity.key.private_bytes(serialization.Encoding.PEM, private, plain).decode()


class Place:
    """An authority, and a server of it that lets in only whom it certified."""

    def __init__(self, folder: Path, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        self.authority = certificates.authority()
        self.ours = certificates.server(self.authority, subject="fhirbridge")
        shown = certificates.server(self.authority, "127.0.0.1")
        self.context = shown.context(folder / "server.pem")
        self.context.maximum_version = newest
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_verify_locations(cadata=pem(self.authority))

    def way(self, identity: Identity | None) -> Way:
        trusted = pem(self.authority)
        if identity is None:
            return Way(authorities=trusted)
        return Way(authorities=trusted, certificate=pem(identity), key=key(identity))


def ask(url: str, way: Way) -> Response | NotSent | Unknown:
    transport = HttpTransport(
        allowed=NetworkPolicy(allow_loopback=True),
        clock=SystemClock(),
        resolver=SystemResolver(),
        way=way,
    )
    try:
        return transport.send(fake_server.put(url), deadline_seconds=5)
    finally:
        transport.close()


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_s09_a_server_that_demands_our_certificate_gets_it(
    serve: Serve, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    place = Place(tmp_path, version)
    server = serve(context=place.context)

    assert isinstance(ask(server.url, place.way(place.ours)), Response)
    assert len(server.seen) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("shown", ["none", "a stranger's"])
def test_s09_without_the_right_certificate_the_server_sees_no_request(
    serve: Serve, tmp_path: Path, version: ssl.TLSVersion, shown: str
) -> None:
    place = Place(tmp_path, version)
    server = serve(context=place.context)
    stranger = certificates.server(certificates.authority("Another"), subject="fhirbridge")

    outcome = ask(server.url, place.way(None if shown == "none" else stranger))

    words = "client certificate wanted" if shown == "none" else "client certificate refused"
    if shown == "none" and version is ssl.TLSVersion.TLSv1_2:
        words = "handshake failed"  # its alert does not say why
    assert outcome == NotSent(reason=f"tls: {words}")
    assert server.seen == []


def test_a_key_of_another_certificate_is_refused_without_being_told(tmp_path: Path) -> None:
    place = Place(tmp_path)
    wrong = Way(certificate=pem(place.ours), key=key(place.authority))

    with pytest.raises(BadCertificateError) as caught:
        ask("https://127.0.0.1/", wrong)

    assert "BEGIN" not in str(caught.value)
    assert key(place.authority) not in repr(wrong)
    assert repr(DIRECT) == "Way(, proxy=None)"
