"""What can be wrong in a document: a name or a field which the record does not have."""

from collections.abc import Iterator, Mapping

from jinja2 import nodes

from fhirbridge.translate.documents.templates import Document
from fhirbridge.translate.expressions.compiled import Compiled, Names, World, words_of
from fhirbridge.translate.expressions.record_paths import field_of, field_type
from fhirbridge.translate.faults import Fault, Place, a, one_letter_off, suggest
from fhirbridge.translate.source_types import Type
from fhirbridge.translate.written import Noted

_Scope = dict[str, Type | None]  # None: a value of the template's own, of which nothing is known


def names_in_reach(names: Names, *, traced: bool) -> dict[str, Compiled]:
    """Return what a document may name.

    The record's parts, and the names of the mapping that uses it.
    """
    record = names.whole_record()
    fields = names.record.field.fields if names.record.field else {}
    found = {name: field_of(record, name, traced=traced) for name in fields}
    return found | dict(names.bound)


def faults_in(
    document: Document, in_reach: Mapping[str, Compiled], noted: Noted, world: World
) -> list[Fault]:
    """Return each name and field that a document uses and the record does not have.

    What it does have, and the document reads, goes to `noted`.
    """
    walk = _Walk(document.file, noted, world)
    for word in document.names & in_reach.keys():
        noted.take(in_reach[word].noted or Noted())
    walk.statements(document.tree.body, {name: made.type for name, made in in_reach.items()})
    return walk.found


class _Walk:
    """Follows the types of the record through one template."""

    def __init__(self, file: str, noted: Noted, world: World) -> None:
        self._file = file
        self._noted = noted
        self._world = world
        self.found: list[Fault] = []

    def statements(self, body: list[nodes.Node], scope: _Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: nodes.Node, scope: _Scope) -> None:
        if isinstance(node, nodes.For):
            self._loop(node, scope)
        elif isinstance(node, nodes.If):
            self.type_of(node.test, scope)
            for part in (node.body, node.elif_, node.else_):
                self.statements(list(part), scope)
        elif isinstance(node, nodes.Assign):
            self._bind(node.target, self.type_of(node.node, scope), scope)
        elif isinstance(node, nodes.With):
            inner = dict(scope)
            for target, value in zip(node.targets, node.values, strict=True):
                self._bind(target, self.type_of(value, scope), inner)
            self.statements(node.body, inner)
        elif isinstance(node, nodes.Expr):
            self.type_of(node, scope)
        else:
            self._inside(node, scope)

    def _inside(self, node: nodes.Node, scope: _Scope) -> None:
        for child in node.iter_child_nodes():
            self._statement(child, scope)

    def _loop(self, node: nodes.For, scope: _Scope) -> None:
        rows = self.type_of(node.iter, scope)
        inner: _Scope = {**scope, "loop": None}
        self._bind(node.target, rows.one() if rows and rows.many else None, inner)
        if node.test is not None:
            self.type_of(node.test, inner)
        self.statements(node.body, inner)
        self.statements(node.else_, scope)

    def _bind(self, target: nodes.Node, kind: Type | None, scope: _Scope) -> None:
        """Put the names of a target in reach; note one that is one letter from another."""
        for name in _targets(target):
            if near := one_letter_off(name, scope):
                self._note(
                    target, f"'{name}' is one letter from '{near}' here; choose another name"
                )
            scope[name] = kind

    def type_of(self, node: nodes.Node, scope: _Scope) -> Type | None:
        """Return the type of an expression where it is one of the record's.

        Note what is not there.
        """
        if isinstance(node, nodes.Name):
            return self._name(node, scope)
        if isinstance(node, nodes.Getattr):
            return self._field(node, self.type_of(node.node, scope), node.attr)
        if isinstance(node, nodes.Getitem):
            return self._item(node, scope)
        if (
            isinstance(node, nodes.Filter)
            and node.name in ("first", "last")
            and node.node is not None
        ):
            rows = self.type_of(node.node, scope)
            return rows.one() if rows else None
        if isinstance(node, nodes.Compare):
            self._compared(node, scope)
            return None
        found = [self.type_of(child, scope) for child in node.iter_child_nodes()]
        if isinstance(node, nodes.Filter) and found and found[0] is not None:
            self._filtered(node, found[0])
        return None

    def _compared(self, node: nodes.Compare, scope: _Scope) -> None:
        """Note a word that the field it is compared with, or looked for in, never has."""
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        kinds = [self.type_of(side, scope) for side in sides]
        known = {word for kind in kinds if kind for word in words_of(kind, self._world)}
        for side in sides:
            word = side.value if isinstance(side, nodes.Const) else None
            if known and isinstance(word, str) and word not in known:
                self._note(node, f"the field is never '{word}'{suggest(word, sorted(known))}")

    def _filtered(self, node: nodes.Filter, kind: Type) -> None:
        """Note the fields that a filter reads by itself."""
        if node.name == "measure":
            self._noted.read_inside(kind, "value", "unit")
        elif node.name == "coded":
            self._noted.read_inside(kind, "text", "display", "key", "code")
            maps = [arg.value for arg in node.args if isinstance(arg, nodes.Const)]
            self._noted.maps.update(dict.fromkeys(map(str, maps)))

    def _name(self, node: nodes.Name, scope: _Scope) -> Type | None:
        if node.name not in scope:
            self._note(node, f"the record has no part '{node.name}'{suggest(node.name, scope)}")
            return None
        kind = scope[node.name]
        self._noted.read(*(kind.paths if kind else ()))
        return kind

    def _item(self, node: nodes.Getitem, scope: _Scope) -> Type | None:
        base = self.type_of(node.node, scope)
        if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            return self._field(node, base, node.arg.value)
        self.type_of(node.arg, scope)
        return base.one() if base and base.many else None

    def _field(self, node: nodes.Node, base: Type | None, name: str) -> Type | None:
        if base is None:
            return None
        fields = base.field.fields if base.field and not base.many else {}
        if name not in fields:
            self._note(node, f"{a(base)} has no field '{name}' here{suggest(name, fields)}")
            return None
        kind = field_type(base, name)
        self._noted.read(*kind.paths)
        return kind

    def _note(self, node: nodes.Node, message: str) -> None:
        place = Place(file=self._file, line=node.lineno)
        self.found.append(Fault(code="E209", place=place, message=message))


def _targets(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Name):
        yield node.name
    for child in node.iter_child_nodes():
        yield from _targets(child)
