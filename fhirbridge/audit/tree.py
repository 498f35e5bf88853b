"""The Merkle tree of RFC 6962: hashes, proofs and how to check them. Pure.

A tree of `size` leaves is read through `Node`: `node(level, index)` is the hash over the leaves
index * 2**level up to the next multiple, of which all are there. Hashes are 32 bytes.
"""

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY = hashlib.sha256().digest()  # the root of a tree without leaves


def leaf_of(data: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def parent(left: bytes, right: bytes) -> bytes:
    """Return the hash over two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def completed(index: int, leaf: bytes, node: Node) -> list[tuple[int, int, bytes]]:
    """Return the subtrees that leaf number `index` completes, itself first: level, index, hash."""
    level, made = 0, leaf
    found = [(level, index, made)]
    while index % 2:
        made = parent(node(level, index - 1), made)
        level, index = level + 1, index // 2
        found.append((level, index, made))
    return found


def root(size: int, node: Node) -> bytes:
    """Return the root of the tree of the first `size` leaves."""
    return _over(0, size, node) if size else EMPTY


def inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that leaf number `index` is in the tree of `size` leaves."""
    return _path(index, 0, size, node)


def consistency(old: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of `old` leaves is how the tree of `size` leaves begins."""
    return _grown(old, 0, size, node, whole=True) if 0 < old < size else []


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes | None:
    """Return the root to which a proof leads, or None where it has a wrong length."""
    sides = _sides(index, size - 1, len(proof)) if 0 <= index < size else None
    if sides is None:
        return None
    made = leaf
    for is_left, other in zip(sides, proof, strict=True):
        made = parent(other, made) if is_left else parent(made, other)
    return made


def is_consistent(
    old: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether a proof shows that the old tree is how the new one begins."""
    if not 0 < old < size:
        same = new_root if old == size else EMPTY
        return old in (0, size) and not proof and old_root == same
    # Where the old tree is one whole subtree, its root is not repeated in the proof.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    index, last = old - 1, size - 1
    while index % 2:
        index, last = index // 2, last // 2
    sides = _sides(index, last, len(path) - 1)
    if sides is None:
        return False
    before = after = path[0]
    for is_left, other in zip(sides, path[1:], strict=True):
        before = parent(other, before) if is_left else before
        after = parent(other, after) if is_left else parent(after, other)
    return before == old_root and after == new_root


def _sides(index: int, last: int, steps: int) -> list[bool] | None:
    """Say for each step from a node to the root whether its neighbour is on the left.

    None where the way has another number of steps.
    """
    found = []
    for _ in range(steps):
        if last == 0:
            return None
        is_left = bool(index % 2) or index == last
        found.append(is_left)
        while is_left and not index % 2 and index:  # it stands alone there: nothing to hash with
            index, last = index // 2, last // 2
        index, last = index // 2, last // 2
    return found if last == 0 else None


def _over(begin: int, end: int, node: Node) -> bytes:
    level = (end - begin - 1).bit_length()
    if end - begin == 1 << level:
        return node(level, begin >> level)
    middle = begin + (1 << (level - 1))
    return parent(_over(begin, middle, node), _over(middle, end, node))


def _middle(begin: int, end: int) -> int:
    """Return where a tree is parted: its left side is the largest whole one below it."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def _path(index: int, begin: int, end: int, node: Node) -> list[bytes]:
    if end - begin == 1:
        return []
    middle = _middle(begin, end)
    if index < middle:
        return [*_path(index, begin, middle, node), _over(middle, end, node)]
    return [*_path(index, middle, end, node), _over(begin, middle, node)]


def _grown(old: int, begin: int, end: int, node: Node, *, whole: bool) -> list[bytes]:
    if old == end:
        return [] if whole else [_over(begin, end, node)]
    middle = _middle(begin, end)
    if old <= middle:
        return [*_grown(old, begin, middle, node, whole=whole), _over(middle, end, node)]
    return [*_grown(old, middle, end, node, whole=False), _over(begin, middle, node)]
