"""The tree is RFC 6962's: roots, proofs, and what they refuse."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.audit import tree

LEAVES = [tree.leaf_of(bytes([number])) for number in range(70)]
# RFC 6962 has no test vectors; these are of its reference implementation (certificate-transparency,
# merkletree tests): eight leaves, and the root of each tree of the first n.
KNOWN_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "60" * 16]
KNOWN_ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
}


class Grown:
    """A tree that keeps what was completed, as the database does."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for number, leaf in enumerate(leaves):
            for level, index, digest in tree.completed(number, leaf, self.node):
                self.nodes[level, index] = digest

    def node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


WHOLE = Grown(LEAVES)
ROOTS = [tree.root(size, WHOLE.node) for size in range(len(LEAVES) + 1)]
sizes = st.integers(1, len(LEAVES))


def by_definition(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash as RFC 6962 defines it."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << (len(leaves) - 1).bit_length() - 1
    inner = by_definition(leaves[:left]) + by_definition(leaves[left:])
    return hashlib.sha256(b"\x01" + inner).digest()


@pytest.mark.parametrize("size", KNOWN_ROOTS)
def test_the_roots_are_those_of_the_reference_implementation(size: int) -> None:
    grown = Grown([tree.leaf_of(bytes.fromhex(one)) for one in KNOWN_LEAVES])

    assert tree.root(size, grown.node).hex() == KNOWN_ROOTS[size]


@given(sizes)
def test_a_root_is_what_the_definition_says(size: int) -> None:
    assert ROOTS[size] == by_definition(LEAVES[:size])


@given(sizes.flatmap(lambda size: st.tuples(st.integers(0, size - 1), st.just(size))))
def test_each_row_is_proven_and_nothing_else_is(case: tuple[int, int]) -> None:
    index, size = case
    proof = tree.inclusion(index, size, WHOLE.node)

    assert tree.root_of_inclusion(LEAVES[index], index, size, proof) == ROOTS[size]
    others = [
        (b"\0" * 32, index, size, proof),
        (LEAVES[index], index, size, [*proof, b"\0" * 32]),
        (LEAVES[index], index, size, proof[1:]),
        (LEAVES[index], size, size, proof),
        (LEAVES[index], -1, size, proof),
    ]
    for other in others:
        assert size == 1 or tree.root_of_inclusion(*other) != ROOTS[size]


@given(sizes.flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_a_log_that_only_grew_is_proven_and_no_other_is(case: tuple[int, int]) -> None:
    old, size = case
    proof = tree.consistency(old, size, WHOLE.node)

    assert tree.is_consistent(old, ROOTS[old], size, ROOTS[size], proof)
    assert not tree.is_consistent(old, b"\0" * 32, size, ROOTS[size], proof)
    assert old == 0 or not tree.is_consistent(old, ROOTS[old], size, b"\0" * 32, proof)
    assert not tree.is_consistent(old, ROOTS[old], size, ROOTS[size], [*proof, b"\0" * 32])
    assert not proof or not tree.is_consistent(old, ROOTS[old], size, ROOTS[size], proof[1:])


def test_r58_a_proof_at_ten_million_rows_is_below_two_kilobytes() -> None:
    proof = tree.inclusion(6_543_210, 10_000_000, lambda _level, _index: b"\0" * 32)

    assert len(proof) * tree.HASH_BYTES < 2048
