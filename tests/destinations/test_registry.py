"""Destinations are added with care, proven before use, and say why they rest."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from fhirbridge.destinations import addresses, modes, registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir import codec
from fhirbridge.store.engine import Store

AT = "2026-05-04T09:00:00.000000Z"
NEW = Destination(
    name="ehr",
    base_url="https://ehr.example.org/fhir",
    mode=Mode.UNPROVEN,
    traits={},
    requires_consent=True,
    test_server=False,
    overlay="rate-children",
    networks=("10.20.0.0/16", "fd00::/8"),
    paused=registry.NOT_PROVEN,
)


@pytest.fixture
def tx() -> Iterator[Connection]:
    store = Store("sqlite://")
    store.create()
    with store.begin() as made:
        yield made
    store.close()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://ehr.example.org/fhir", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir/", "https://ehr.example.org/fhir"),
        ("https://ehr.example.org/fhir///", "https://ehr.example.org/fhir"),
        ("http://127.0.0.1:8080/fhir", "http://127.0.0.1:8080/fhir"),
        ("https://[fd00::1]:8443/r4", "https://[fd00::1]:8443/r4"),
        ("https://ehr.example.org", "https://ehr.example.org"),
    ],
)
def test_a_base_address_is_kept_without_its_last_slash(given: str, kept: str) -> None:
    assert addresses.checked_url(given) == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ehr.example.org/fhir",
        "ftp://ehr.example.org/fhir",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https:///fhir",
        "https://ehr.example.org/fhir?tenant=a",
        "https://ehr.example.org/fhir#top",
        "https://user@ehr.example.org/fhir",
        "https://user:secret@ehr.example.org/fhir",
        "https://:secret@ehr.example.org/fhir",
        "https://[::1/fhir",
        "https://[nonsense]/fhir",
        "https://ehr.example.org:99999/fhir",
        "https://ehr.example.org:port/fhir",
        "https://ehr.example.org/fh ir",
        "https://ehr.example.org/fhir\n",
        "https://ehr.example.org\\@evil.example/fhir",
    ],
)
def test_an_address_that_is_no_base_address_is_refused(url: str) -> None:
    with pytest.raises(DestinationError) as caught:
        addresses.checked_url(url)

    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("given", "kept"),
    [([], ()), (["10.0.0.0/8", "FD00::/8"], ("10.0.0.0/8", "fd00::/8")), (["::1"], ("::1/128",))],
)
def test_networks_are_kept_in_their_usual_form(given: list[str], kept: tuple[str, ...]) -> None:
    assert addresses.checked_networks(given) == kept


@pytest.mark.parametrize("network", ["", "10.0.0.1/8", "10.0.0.0/33", "private", "10.0.0.0 /8"])
def test_a_network_that_is_none_is_refused(network: str) -> None:
    with pytest.raises(DestinationError):
        addresses.checked_networks(["10.0.0.0/8", network])


@pytest.mark.parametrize("name", ["a", "ehr-2", "a" * 40])
def test_a_destination_is_given_back_as_it_was_added(tx: Connection, name: str) -> None:
    new = replace(NEW, name=name, traits={"decimals": True})

    registry.add(tx, new, at=AT)

    assert registry.get(tx, name) == new


@pytest.mark.parametrize(
    "name", ["", "A", "2ehr", "-ehr", "ehr_2", "ehr 2", "a" * 41, "ehr\n", "ëhr", "*"]
)
def test_a_name_that_is_no_name_is_refused(tx: Connection, name: str) -> None:
    with pytest.raises(DestinationError):
        registry.add(tx, replace(NEW, name=name), at=AT)

    assert registry.every(tx) == []


def test_a_name_is_given_once(tx: Connection) -> None:
    registry.add(tx, NEW, at=AT)

    with pytest.raises(DestinationError, match="already there"):
        registry.add(tx, replace(NEW, base_url="https://other.example.org"), at=AT)

    assert registry.every(tx) == [NEW]


def test_an_unknown_destination_is_none_or_an_error_that_says_so(tx: Connection) -> None:
    assert registry.find(tx, "ehr") is None
    with pytest.raises(DestinationError, match="no destination named ehr"):
        registry.get(tx, "ehr")


def test_destinations_are_listed_by_name(tx: Connection) -> None:
    for name in ("b", "a", "c"):
        registry.add(tx, replace(NEW, name=name), at=AT)

    assert [one.name for one in registry.every(tx)] == ["a", "b", "c"]


PROVEN = {
    "own_ids": True,
    "create_guard": True,
    "version_guard": True,
    "transaction": True,
    "decimals": True,
}


def test_a_probe_that_proves_all_lets_deliveries_go(tx: Connection) -> None:
    registry.add(tx, NEW, at=AT)

    registry.note_probe(tx, "ehr", PROVEN)

    found = registry.get(tx, "ehr")
    assert (found.mode, found.paused) == (Mode.TRANSACTION, "")
    assert found.traits == PROVEN


@pytest.mark.parametrize(
    ("traits", "why"),
    [
        ({}, registry.NOT_PROVEN),
        (
            {**PROVEN, "version_guard": False, "decimals": False},
            (
                "the server does not honour: update guarded by If-Match; decimals kept. "
                "Deliveries need that to be safe"
            ),
        ),
    ],
)
def test_a_probe_that_proves_less_keeps_it_paused_and_says_why(
    tx: Connection, traits: dict[str, bool], why: str
) -> None:
    registry.add(tx, replace(NEW, mode=Mode.TRANSACTION, paused=""), at=AT)

    registry.note_probe(tx, "ehr", traits)

    found = registry.get(tx, "ehr")
    assert (found.mode, found.paused) == (Mode.UNPROVEN, why)


def test_a_pause_is_of_one_destination_and_an_empty_reason_ends_it(tx: Connection) -> None:
    for name in ("a", "b"):
        registry.add(tx, replace(NEW, name=name, paused=""), at=AT)

    registry.pause(tx, "a", "an upgrade")

    assert [one.paused for one in registry.every(tx)] == ["an upgrade", ""]
    registry.pause(tx, "a", "")
    assert [one.paused for one in registry.every(tx)] == ["", ""]


def test_traits_keep_their_digits(tx: Connection) -> None:
    traits = codec.decode(b'{"seconds":0.50}')

    registry.add(tx, replace(NEW, traits=traits), at=AT)

    assert codec.encode(registry.get(tx, "ehr").traits) == b'{"seconds":0.50}'


WEAK = {**dict.fromkeys(modes.NAMES, True), "version_guard": False}


def test_r23_a_weak_guard_is_used_only_where_a_person_allowed_it_by_name(tx: Connection) -> None:
    for name in ("a", "b"):
        registry.add(tx, replace(NEW, name=name), at=AT)
        registry.note_probe(tx, name, WEAK)
    before = registry.get(tx, "a")
    assert (before.mode, before.guard) == (Mode.UNPROVEN, "")

    registry.allow_weak_guard(tx, "a", allowed=True)

    allowed, other = registry.every(tx)
    assert (allowed.way, allowed.paused, allowed.weak) == (
        "single (weak guard)",
        "",
        registry.ALLOWED,
    )
    assert (other.mode, other.paused) == (Mode.UNPROVEN, before.paused)

    registry.allow_weak_guard(tx, "a", allowed=False)
    assert registry.get(tx, "a") == before


def test_an_allowance_ends_no_pause_of_another_cause(tx: Connection) -> None:
    registry.add(tx, NEW, at=AT)
    registry.note_probe(tx, "ehr", WEAK)
    registry.allow_weak_guard(tx, "ehr", allowed=True)
    registry.pause(tx, "ehr", "the EHR refuses access")

    registry.allow_weak_guard(tx, "ehr", allowed=True)
    assert registry.get(tx, "ehr").paused == "the EHR refuses access"

    registry.allow_weak_guard(tx, "ehr", allowed=False)
    found = registry.get(tx, "ehr")
    assert (found.mode, found.guard) == (Mode.UNPROVEN, "")
    assert found.paused.endswith(modes.WEAK_HINT)


def test_an_allowance_where_the_guard_is_honoured_changes_nothing(tx: Connection) -> None:
    registry.add(tx, NEW, at=AT)
    registry.note_probe(tx, "ehr", {**WEAK, "version_guard": True})

    registry.allow_weak_guard(tx, "ehr", allowed=True)

    found = registry.get(tx, "ehr")
    assert (found.mode, found.guard, found.way) == (Mode.TRANSACTION, "", "transaction")


def test_r27_a_name_that_was_removed_is_not_given_to_another_one(tx: Connection) -> None:
    registry.add(tx, NEW, at=AT)

    registry.remove(tx, "ehr", at=AT)

    assert (registry.find(tx, "ehr"), registry.every(tx), registry.overlays(tx)) == (None, [], [])
    kept = registry.ever(tx, "ehr")
    assert kept is not None
    assert [kept] == registry.removed(tx)
    with pytest.raises(DestinationError, match="removed on 2026-05-04"):
        registry.add(tx, NEW, at=AT)
