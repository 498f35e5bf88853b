import re
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.translate.identity import KeyPart, opaque, resource_id
from tests.translate.small_set import SITE

PARTS = st.lists(st.text(), min_size=1, max_size=4)


@given(PARTS)
def test_an_id_fits_every_server(parts: list[str]) -> None:
    made = resource_id(SITE, "Patient", "person", *parts)

    assert re.fullmatch(r"[a-z][a-z0-9]{20,63}", made)


@given(PARTS, PARTS)
def test_different_keys_have_different_ids(first: list[str], second: list[str]) -> None:
    same = resource_id(SITE, "Patient", "p", *first) == resource_id(SITE, "Patient", "p", *second)

    assert same == (first == second)


def test_the_border_between_two_parts_counts() -> None:
    assert resource_id(SITE, "Patient", "p", "a", "bc") != resource_id(
        SITE, "Patient", "p", "ab", "c"
    )


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=6, max_size=12))
def test_nothing_of_a_record_number_stands_in_an_id(number: str) -> None:
    made = resource_id(SITE, "Patient", "p", number)

    assert number not in made


@pytest.mark.parametrize(
    "other",
    [
        resource_id(replace(SITE, key=b"another key, 32 bytes long......"), "Patient", "p", "1"),
        resource_id(replace(SITE, tenant="clinic-2"), "Patient", "p", "1"),
        resource_id(SITE, "Person", "p", "1"),
        resource_id(SITE, "Patient", "q", "1"),
        resource_id(SITE, "Patient", "p", "2"),
        opaque(SITE, "Patient", "p", "1"),
    ],
)
def test_site_key_tenant_type_keyspace_and_kind_all_count(other: str) -> None:
    assert other != resource_id(SITE, "Patient", "p", "1")


def test_the_host_may_change_and_ids_stay() -> None:
    moved = replace(SITE, host="moved.example.org")

    assert resource_id(moved, "Patient", "p", "1") == resource_id(SITE, "Patient", "p", "1")


@pytest.mark.parametrize("same", [Decimal(5), Decimal("5.0"), Decimal("5E+0"), "5"])
def test_one_number_written_in_several_ways_is_one_key(same: KeyPart) -> None:
    assert resource_id(SITE, "Patient", "p", same) == resource_id(SITE, "Patient", "p", 5)


def test_an_id_never_changes() -> None:
    assert resource_id(SITE, "Patient", "person", "pt-1") == (
        "koeyytnrmdfvgxw5zo362uznbszufuzbciijyg6wo6bhim5rapezq"
    )
