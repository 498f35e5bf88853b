from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.egress.networks import NetworkPolicy

DEFAULT = NetworkPolicy()
HOSPITAL = NetworkPolicy(allowed=(ip_network("10.20.0.0/16"), ip_network("fd12:3456::/32")))
CARELESS = NetworkPolicy(
    allow_loopback=True,
    allow_plain_http=True,
    allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")),
)

NEVER_TEXT = """
0.0.0.0 0.1.2.3 :: ::ffff:0.0.0.0
169.254.169.254 169.254.0.1 169.254.170.2 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe
fd00:ec2::254 fd20:ce::254 168.63.129.16 100.100.100.200 192.0.0.192
fe80::1 febf::1 224.0.0.1 239.255.255.250 ff02::1 ff05::c 255.255.255.255
::127.0.0.1 ::10.0.0.1 ::ffff:0:127.0.0.1 ::ffff:0:10.0.0.1
2002:7f00:1:: 2002:a00:1:: 2002:a9fe:a9fe:: 2002:808:808::
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001::1
64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::0.0.0.0 64:ff9b:1::10.0.0.1
64:ff9b:1:fffe::1
"""

NOT_PUBLIC_TEXT = """
10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 ::ffff:10.0.0.1 ::ffff:192.168.0.1
100.64.0.1 100.127.255.255 192.0.0.1 192.0.0.9 192.0.2.1 198.51.100.7 203.0.113.9 192.88.99.1
198.18.0.1 198.19.255.255 240.0.0.1 254.255.255.255
fc00::1 fd00::1 fdff:ffff::1 fec0::1 2001:db8::1 3fff::1 2001:2::1 2001:20::1 100::1 5f00::1
4000::1 8000::1 200::1 64:ff9b::10.0.0.1 64:ff9b::192.168.1.1 64:ff9b::100.64.0.1
2620:1234::5efe:10.0.0.1 2620:1234::200:5efe:10.0.0.1
"""

LOOPBACK = ["127.0.0.1", "127.255.255.254", "127.1.2.3", "::1", "::ffff:127.0.0.1"]

PUBLIC_TEXT = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1
192.0.1.1 198.17.255.255 198.20.0.1 223.255.255.255 169.253.255.255 ::ffff:8.8.8.8
2606:4700::1111 2a00:1450::1 2001:4860:4860::8888 64:ff9b::8.8.8.8
"""
NEVER, NOT_PUBLIC, PUBLIC = NEVER_TEXT.split(), NOT_PUBLIC_TEXT.split(), PUBLIC_TEXT.split()


def test_the_corpus_of_forbidden_addresses_is_large() -> None:
    assert len(set(NEVER + NOT_PUBLIC + LOOPBACK)) >= 60


@pytest.mark.parametrize("address", NEVER + NOT_PUBLIC + LOOPBACK)
def test_by_default_only_the_public_internet_is_reached(address: str) -> None:
    assert DEFAULT.refusal(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_reached(address: str) -> None:
    assert DEFAULT.refusal(ip_address(address)) == ""


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_refused_whatever_is_allowed(address: str) -> None:
    assert CARELESS.refusal(ip_address(address))


@pytest.mark.parametrize("address", [*NOT_PUBLIC, *PUBLIC, *LOOPBACK])
def test_an_allowed_network_is_reached(address: str) -> None:
    assert CARELESS.refusal(ip_address(address)) == ""


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        ("10.20.0.1", True),
        ("::ffff:10.20.0.1", True),
        ("64:ff9b::10.20.0.1", True),
        ("fd12:3456::1", True),
        ("10.21.0.1", False),
        ("64:ff9b::10.21.0.1", False),
        ("fd12:3457::1", False),
        ("127.0.0.1", False),
        ("::1", False),
    ],
)
def test_a_hospital_opens_its_own_network_and_no_other(address: str, *, reached: bool) -> None:
    assert (HOSPITAL.refusal(ip_address(address)) == "") is reached


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_naming_the_loopback_network_does_not_open_it(address: str) -> None:
    policy = NetworkPolicy(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))

    assert policy.refusal(ip_address(address)) == "loopback address"


@pytest.mark.parametrize(
    ("policy", "address", "refusal"),
    [
        (NetworkPolicy(allow_loopback=True), "127.0.0.1", ""),
        (HOSPITAL, "10.20.0.1", "plain http"),
        (DEFAULT, "8.8.8.8", "plain http"),
        (NetworkPolicy(allow_plain_http=True), "8.8.8.8", ""),
        (NetworkPolicy(allow_plain_http=True), "10.0.0.1", "private address"),
    ],
)
def test_without_tls_nothing_leaves_the_machine_unless_allowed(
    policy: NetworkPolicy, address: str, refusal: str
) -> None:
    assert policy.refusal(ip_address(address), plain=True) == refusal


@given(st.ip_addresses(v=4))
def test_no_disguise_reaches_what_the_plain_address_does_not(address: IPv4Address) -> None:
    if DEFAULT.refusal(address) == "":
        return

    number = int(address)
    disguises = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address(number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF)),
    ]

    assert all(DEFAULT.refusal(disguise) for disguise in disguises)


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_reached_over_ipv6(address: IPv6Address) -> None:
    if DEFAULT.refusal(address) == "":
        public = (ip_network("2000::/3"), ip_network("64:ff9b::/96"), ip_network("::ffff:0:0/96"))
        assert any(address in network for network in public)
