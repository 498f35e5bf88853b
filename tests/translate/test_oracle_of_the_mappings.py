"""Each expression of the shipped mappings that FHIRPath can say too: fhirpathpy must agree.

Left out: our own functions, `$run`, parameters of fragments, and what is written of a number or a
truth as text, where fhirpathpy departs from the specification.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import fhirpathpy
import pytest

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import yaml_tree
from fhirbridge.translate.expressions.compiled import Compiled, Names, Slots, as_list, slot_of
from fhirbridge.translate.expressions.compiler import Compiler, compile_text
from fhirbridge.translate.expressions.parser import (
    Binary,
    Call,
    Dollar,
    Expression,
    Index,
    Literal,
    Member,
    Name,
    parse,
    split_as,
)
from fhirbridge.translate.faults import FaultError
from fhirbridge.translate.frame import Frame
from fhirbridge.translate.source_types import tables_of, type_of
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, Sequence
from tests.golden.translating import MAPPINGS, SITE, WHOLE, sample
from tests.translate.small_set import AT, EMPTY_WORLD

COMMON = {
    *("exists", "empty", "not", "first", "last", "single", "count", "where", "select", "all"),
    *("distinct", "iif", "coalesce", "startsWith", "contains", "matches", "replace", "substring"),
    *("lower", "upper", "trim", "split", "join", "toString"),
}
OF_ROWS = ("where", "select", "all", "exists")
FEWEST_EXPRESSIONS = 500
FEWEST_VALUES = 3000
MOST_ROWS = 4  # of each list, in turn
COMPARED = (WHOLE, "01-iv-series-visit-1.v1", "08-nasal-visit-1.v1")


class NotCommonError(Exception):
    """FHIRPath cannot say this, or not of our record."""


@dataclass
class Scope:
    """What the names of one mapping mean."""

    names: Names
    rows: list[tuple[str, Compiled, int]] = field(default_factory=list)  # name, path, slot
    lets: dict[str, Expression] = field(default_factory=dict)

    def with_row(self, text: str) -> "Scope":
        path, name = split_as(text)
        rows = compile_text(path, self.names, world=WORLD, place=AT)
        names, slot = self.names.with_row(name, rows.type.one())
        return Scope(names=names, rows=[*self.rows, (name, rows, slot)], lets=self.lets)

    def with_let(self, name: str, text: str) -> "Scope":
        try:
            made = compile_text(text, self.names, world=WORLD, place=AT)
        except FaultError:  # it uses a function of ours; so does what uses it
            return self
        names = self.names.with_bound(name, made)
        return Scope(names=names, rows=self.rows, lets={**self.lets, name: parse(text)})


WORLD = replace(EMPTY_WORLD, tables=tables_of(source_schema()), traced=False)


def scopes() -> Iterator[tuple[str, Fields, Scope]]:
    """Yield each mapping with what its names mean."""
    for path in sorted((MAPPINGS / "resources").glob("*.yaml")):
        tree = yaml_tree.read(path.read_text(encoding="utf-8"), path.name)
        kind = tree.items["scope"]
        if isinstance(kind, Scalar) and kind.text == "delivery":
            continue  # its rows come from $run
        names = Names(record=type_of(source_schema()), slots=Slots(), per_delivery=False)
        scope = Scope(names=names)
        each = tree.items.get("each")
        for level in each.items if isinstance(each, Sequence) else (each,) if each else ():
            assert isinstance(level, Scalar)
            scope = scope.with_row(level.text)
        lets = tree.items.get("let")
        for name, value in lets.items.items() if isinstance(lets, Fields) else ():
            assert isinstance(value, Scalar)
            scope = scope.with_let(name, value.text.removeprefix("="))
        yield path.stem, tree, scope


def expressions(node: Node, scope: Scope, *, head: bool) -> Iterator[tuple[str, Scope]]:
    """Yield each expression below a node, with the names in its reach."""
    if isinstance(node, Scalar):
        if head or node.text.startswith("="):
            yield node.text.removeprefix("="), scope
        return
    if isinstance(node, Sequence):
        for item in node.items:
            yield from expressions(item, scope, head=head)
        return
    inner = scope
    if "$for" in node.items:
        assert isinstance(node.items["$for"], Scalar)
        inner = scope.with_row(node.items["$for"].text)
    for key, value in node.items.items():
        if key not in ("$for", "$use"):
            where = inner if key == "$item" else scope
            yield from expressions(value, where, head=key in ("$if", "$when"))


def written() -> Iterator[tuple[str, str, Scope]]:
    """Yield each expression of the mappings: its mapping, its text, its names."""
    for name, tree, scope in scopes():
        for key in ("when", "as_of", "key", "let", "requires"):
            node = tree.items.get(key)
            if node is not None:
                for text, inner in expressions(node, scope, head=key != "requires"):
                    yield name, text, inner
        for text, inner in expressions(tree.items["resource"], scope, head=False):
            yield name, text, inner


def in_fhirpath(tree: Expression, scope: Scope, names: Names) -> str:
    """Write a tree as FHIRPath, with the record and the rows as variables."""
    match tree:
        case Literal(value=str() as text):
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case Literal():
            return str(tree.value).lower()
        case Name() | Dollar() | Member() | Index():
            return _path(tree, scope, names)
        case Binary():
            left, right = (in_fhirpath(one, scope, names) for one in (tree.left, tree.right))
            return f"({left} {tree.sign} {right})"
        case Call() if tree.name in COMMON:
            return _call(tree, scope, names)
    raise NotCommonError


def _path(tree: Name | Dollar | Member | Index, scope: Scope, names: Names) -> str:
    if isinstance(tree, Name):
        return _name(tree.name, scope, names)
    if isinstance(tree, Dollar):
        if tree.name != "this":
            raise NotCommonError
        return "$this"
    base = in_fhirpath(tree.base, scope, names)
    return f"{base}.`{tree.name}`" if isinstance(tree, Member) else f"{base}[{tree.number}]"


def _name(name: str, scope: Scope, names: Names) -> str:
    own = names.item.type.field if names.item else None
    if own is not None and name in own.fields:
        return f"`{name}`"
    if name in scope.lets:
        return f"({in_fhirpath(scope.lets[name], scope, scope.names)})"
    if name in scope.names.bound:
        return f"%{name}"
    if name not in source_schema().fields:
        raise NotCommonError  # a `let` that uses a function of ours
    return f"%record.`{name}`"


def _call(tree: Call, scope: Scope, names: Names) -> str:
    inner = names
    if tree.name in OF_ROWS and tree.base is not None and tree.arguments:
        rows = Compiler(WORLD, AT).compile(tree.base, names)
        inner = names.with_item(slot_of(names.slots.take(), rows.type.one()))
    arguments = [in_fhirpath(one, scope, inner) for one in tree.arguments]
    if tree.base is not None:
        return f"{in_fhirpath(tree.base, scope, names)}.{tree.name}({', '.join(arguments)})"
    if tree.name == "not":
        return f"({arguments[0]}).not()"
    return f"{tree.name}({', '.join(arguments)})"


def common() -> list[tuple[str, str, Scope, str]]:
    """Return each expression that both can say: its mapping, text, names, and the text for them."""
    found = []
    for name, text, scope in written():
        try:
            theirs = in_fhirpath(parse(text), scope, scope.names)
        except (NotCommonError, FaultError):
            continue
        found.append((name, text, scope, theirs))
    return found


def frames(record: dict[str, Any], scope: Scope) -> Iterator[tuple[Frame, dict[str, Any]]]:
    """Yield a frame and the variables for each combination of rows."""
    frame = Frame(
        record=record,
        site=SITE,
        run={},
        places={},
        slots=[None] * 999,
        traced=False,
    )
    yield from _rows(frame, {"record": record}, scope.rows)


def _rows(
    frame: Frame, variables: dict[str, Any], rows: list[tuple[str, Compiled, int]]
) -> Iterator[tuple[Frame, dict[str, Any]]]:
    if not rows:
        yield frame, variables
        return
    (name, made, slot), *rest = rows
    for row in as_list(made)(frame)[:MOST_ROWS]:
        frame.slots[slot] = row
        yield from _rows(frame, {**variables, name: row}, rest)


@pytest.mark.slow
def test_the_other_engine_agrees_on_every_expression_that_it_can_say() -> None:
    records = [schema.load(codec.encode(sample(name))).document for name in COMPARED]
    expressions_compared, values = set(), 0
    differing = []

    for name, text, scope, theirs in common():
        ours = compile_text(text, scope.names, world=WORLD, place=AT)
        evaluate = fhirpathpy.compile(theirs)
        for record in records:
            for frame, variables in frames(record, scope):
                values += 1
                expressions_compared.add((name, text))
                if as_list(ours)(frame) != evaluate(record, variables):
                    differing.append(f"{name}: {text}")

    assert sorted(set(differing)) == []
    assert len(expressions_compared) > FEWEST_EXPRESSIONS
    assert values > FEWEST_VALUES
