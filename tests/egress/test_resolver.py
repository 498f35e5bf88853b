import socket
import threading
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from fhirbridge.clock import SystemClock
from fhirbridge.egress import resolver
from fhirbridge.egress.exchange import UnresolvedError
from fhirbridge.egress.resolver import SystemResolver


@pytest.fixture
def release() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(
    "spelling",
    ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "0x7f000001", "127.1", "localhost"],
)
def test_every_spelling_of_an_address_becomes_that_address(spelling: str) -> None:
    found = SystemResolver().resolve(spelling, timeout_seconds=2)

    assert ip_address("127.0.0.1") in found


def test_all_addresses_are_returned_once_in_the_systems_order() -> None:
    rows: Sequence[tuple[Any, ...]] = [
        (socket.AF_INET6, 1, 6, "", ("2606:4700::1111", 0, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("1.1.1.1", 0)),
        (socket.AF_INET, 1, 6, "", ("1.1.1.1", 0)),
    ]

    found = SystemResolver(look_up=lambda _: rows).resolve("ehr.example", timeout_seconds=1)

    assert found == (ip_address("2606:4700::1111"), ip_address("1.1.1.1"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, ""), "no such name"),
        (socket.gaierror(socket.EAI_NODATA, ""), "no such name"),
        (socket.gaierror(socket.EAI_AGAIN, ""), "server failed"),
        (socket.gaierror(socket.EAI_FAIL, ""), "failed"),
        (OSError(), "failed"),
        (UnicodeError(), "failed"),
    ],
)
def test_o1_a_failed_lookup_says_what_happened(error: Exception, words: str) -> None:
    def look_up(_: str) -> Sequence[tuple[Any, ...]]:
        raise error

    with pytest.raises(UnresolvedError, match=f"^{words}$"):
        SystemResolver(look_up=look_up).resolve("ehr.example", timeout_seconds=1)


def test_no_address_is_a_failed_lookup() -> None:
    with pytest.raises(UnresolvedError, match="no address"):
        SystemResolver(look_up=lambda _: []).resolve("ehr.example", timeout_seconds=1)


def test_o1_a_hung_lookup_is_given_up_at_its_deadline(release: threading.Event) -> None:
    def look_up(_: str) -> Sequence[tuple[Any, ...]]:
        release.wait(30)
        return []

    clock = SystemClock()
    began = clock.monotonic()
    with pytest.raises(UnresolvedError, match="timeout"):
        SystemResolver(look_up=look_up).resolve("ehr.example", timeout_seconds=0.1)

    assert clock.monotonic() - began < 1


def test_hung_lookups_do_not_pile_up_threads(
    release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(_: str) -> Sequence[tuple[Any, ...]]:
        release.wait(30)
        return []

    monkeypatch.setattr(resolver, "MOST_AT_ONCE", 2)
    hung = SystemResolver(look_up=look_up)
    for _ in range(2):
        with pytest.raises(UnresolvedError, match="timeout"):
            hung.resolve("ehr.example", timeout_seconds=0.01)

    with pytest.raises(UnresolvedError, match="too many"):
        hung.resolve("ehr.example", timeout_seconds=0.01)
