"""O18: a server that does not prove to be the EHR."""

import ssl
import warnings
from datetime import timedelta
from pathlib import Path

import pytest

from tests.egress import certificates
from tests.egress.certificates import LONG_AGO, Identity
from tests.egress.fake_server import FakeServer
from tests.factories import a_short_visit
from tests.faults.conftest import MakePlace
from tests.faults.front import NAME


class Keys:
    """What an EHR may show when it is asked who it is, by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = certificates.authority()
        self.ca_file = self._authority.write(folder / "ca.pem")

    def context(self, kind: str) -> ssl.SSLContext:
        shown = self._shown(kind).context(self._folder / "server.pem")
        if kind == "tls 1.0":
            shown.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                shown.minimum_version = shown.maximum_version = ssl.TLSVersion.TLSv1
        return shown

    def _shown(self, kind: str) -> Identity:
        if kind == "self-signed":
            return certificates.server(None, NAME)
        if kind == "unknown issuer":
            return certificates.server(certificates.authority("Another"), NAME)
        name = "other.invalid" if kind == "wrong name" else NAME
        return certificates.server(
            self._authority, name, ends=LONG_AGO if kind == "expired" else None
        )


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


UNPROVEN = {
    "expired": "tls: certificate expired",
    "wrong name": "tls: certificate of another name",
    "self-signed": "tls: self-signed certificate",
    "unknown issuer": "tls: unknown issuer",
    "tls 1.0": "tls: version too old",
}


@pytest.mark.parametrize("kind", UNPROVEN)
def test_o18_who_is_not_proven_to_be_the_ehr_gets_nothing_and_the_reason_is_said(
    make_place: MakePlace, keys: Keys, kind: str
) -> None:
    place = make_place(context=keys.context(kind), ca_file=keys.ca_file)

    place.take(a_short_visit())
    place.pass_time(timedelta(minutes=10))

    assert place.server.seen == []
    assert f"not sent: {UNPROVEN[kind]}" in [row.reason for row in place.rows("pending")]
    assert "down: " in place.alarms()
    assert {row.state for row in place.rows()} == {"pending"}


def test_o18_the_same_ehr_with_a_good_certificate_gets_all_that_waited(
    make_place: MakePlace, keys: Keys
) -> None:
    place = make_place(context=keys.context("good"), ca_file=keys.ca_file)

    receipt = place.take(a_short_visit())

    assert place.delivery(receipt).state == "delivered"


def test_o18_a_server_without_tls_where_tls_is_meant_gets_nothing(
    make_place: MakePlace, keys: Keys
) -> None:
    place = make_place(context=keys.context("good"), ca_file=keys.ca_file)
    with FakeServer() as plain:
        plain.greeting = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place.server, "port", plain.port)
            place.take(a_short_visit())

        assert plain.seen == []
    assert {row.state for row in place.rows()} == {"pending"}
    assert "not sent: tls: not a TLS server" in place.why()
