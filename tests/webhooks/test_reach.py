"""R48, S08: an address that leads inside is not even added; a hospital's own network is named."""

import pytest

from fhirbridge.webhooks import reach
from fhirbridge.webhooks.reach import AddressError
from tests.egress.test_networks import LOOPBACK, NEVER, NOT_PUBLIC

ADDRESSES = [*NEVER, *NOT_PUBLIC, *LOOPBACK]
SPELT_TEXT = """
https://2130706433/ https://0x7f000001/ https://0x7f.1/ https://0177.0.0.1/ https://127.1/
https://127.0.0.1./ https://0/ https://0x0/ https://3232235777/ https://192.168.257/
https://localhost/ https://LOCALHOST/ https://localhost./ https://a.localhost/
http://example.org/ ftp://example.org/ file:///etc/passwd gopher://example.org/ javascript:alert(1)
https://user:password@example.org/ https://example.org@169.254.169.254/ https://example.org/#a
https:///hooks https://example.org:0/ https://example.org:99999/ https://exa\u2024mple.org/
https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[fe80::1%25eth0]/ https://[::1/
https://example.org\\@127.0.0.1/ //127.0.0.1/ https://ex%61mple.org/ https://①②⑦.0.0.1/
"""
SPELT = SPELT_TEXT.split()


def written(address: str) -> str:
    return f"https://[{address}]/hooks" if ":" in address else f"https://{address}/hooks"


@pytest.mark.parametrize("url", [*SPELT, *map(written, ADDRESSES), "https://a.b/" + "x" * 2000])
def test_r48_what_leads_inside_or_nowhere_is_not_added(url: str) -> None:
    with pytest.raises(AddressError) as refused:
        reach.checked_url(url, ())

    assert "password" not in refused.value.message.replace("user name, password", "")


def test_r48_there_are_many_of_them() -> None:
    assert len(SPELT) >= 30


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/",
        "https://hooks.example.org:8443/a/b?c=d",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
    ],
)
def test_the_public_internet_is_taken(url: str) -> None:
    assert reach.checked_url(url, ()) == url


def test_a_hospitals_own_network_is_taken_where_it_is_named_and_no_other() -> None:
    own = reach.checked_networks(["10.20.0.0/16"])

    assert reach.checked_url("https://10.20.0.1/", own)
    for other in (
        "https://10.21.0.1/",
        "https://127.0.0.1/",
        "https://169.254.169.254/",
        "http://10.20.0.1/",
    ):
        with pytest.raises(AddressError):
            reach.checked_url(other, own)


@pytest.mark.parametrize("named", ["127.0.0.0/8", "127.0.0.1/32", "::1/128"])
def test_this_machine_itself_is_reached_where_it_is_named(named: str) -> None:
    assert reach.checked_url("http://localhost:8080/", [named])


@pytest.mark.parametrize(
    "network",
    [
        "0.0.0.0/0",
        "::/0",
        "8.8.8.0/24",
        "169.254.0.0/16",
        "10.0.0.0/7",
        "10.0.0.1/8",
        "all",
        "",
        "fe80::/10",
    ],
)
def test_what_is_no_private_network_is_not_allowed(network: str) -> None:
    with pytest.raises(AddressError):
        reach.checked_networks([network])
