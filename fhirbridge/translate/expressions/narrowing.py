"""What a condition says of the words that a field can be.

After `a.status != 'planned'` it is never that one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fhirbridge.translate.expressions.parser import Binary, Call, Expression, Literal, Member, Name
from fhirbridge.translate.source_types import Type


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Words that are left, or words that are ruled out."""

    only: frozenset[str] | None = None
    never: frozenset[str] = frozenset()

    def both(self, other: "Fact") -> "Fact":
        known = [fact.only for fact in (self, other) if fact.only is not None]
        only = known[0].intersection(*known) if known else None
        return Fact(only=only, never=self.never | other.never)


Facts = Mapping[str, Fact]  # by path, as it is written


def facts_of(tree: Expression, *, holds: bool = True) -> dict[str, Fact]:
    """Return what is known where the condition holds, or where it does not."""
    if isinstance(tree, Call) and tree.name == "not":
        inner = tree.base or (tree.arguments[0] if tree.arguments else None)
        return facts_of(inner, holds=not holds) if inner else {}
    if not isinstance(tree, Binary):
        return {}
    if tree.sign == ("and" if holds else "or"):
        return merged(facts_of(tree.left, holds=holds), facts_of(tree.right, holds=holds))
    path = path_of(tree.left)
    if not path or tree.sign not in ("=", "!=", "in"):
        return {}
    words = frozenset(literals(tree.right))
    if not words:
        return {}
    is_one = (tree.sign != "!=") is holds
    return {path: Fact(only=words) if is_one else Fact(never=words)}


def merged(first: Facts, second: Facts) -> dict[str, Fact]:
    """Return what both say."""
    found = dict(first)
    for path, fact in second.items():
        found[path] = found[path].both(fact) if path in found else fact
    return found


def path_of(tree: Expression) -> str:
    """Return a plain path as it is written; nothing for any other expression."""
    if isinstance(tree, Name):
        return tree.name
    if isinstance(tree, Member):
        base = path_of(tree.base)
        return f"{base}.{tree.name}" if base else ""
    return ""


def left_over(kind: Type, fact: Fact) -> tuple[str, ...]:
    """Return the words that a field can still be."""
    words = kind.values or tuple(sorted(fact.only or ()))
    return tuple(w for w in words if w not in fact.never and (fact.only is None or w in fact.only))


def literals(tree: Expression) -> list[str]:
    """Return the texts of `('a' | 'b')`, in their order; none where anything else stands there."""
    if isinstance(tree, Literal) and isinstance(tree.value, str):
        return [tree.value]
    if isinstance(tree, Binary) and tree.sign == "|":
        left, right = literals(tree.left), literals(tree.right)
        return [*left, *right] if left and right else []
    return []
