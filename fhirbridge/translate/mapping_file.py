"""resources/*.yaml: the head of one mapping read, its expressions and its skeleton compiled."""

import re
from dataclasses import dataclass, replace
from typing import Any

from fhirbridge.translate import why
from fhirbridge.translate.definitions import resource_types
from fhirbridge.translate.expressions import compiled
from fhirbridge.translate.expressions.compiled import Compiled, Names
from fhirbridge.translate.expressions.compiler import Compiler, compile_text, parse_at
from fhirbridge.translate.expressions.parser import Expression
from fhirbridge.translate.faults import FaultError, Faults, Place, a, suggest
from fhirbridge.translate.frame import Frame, Run
from fhirbridge.translate.skeletons.profiles import with_profiles
from fhirbridge.translate.skeletons.rendering import asked
from fhirbridge.translate.skeletons.skeleton import SkeletonCompiler
from fhirbridge.translate.skeletons.spelling import expression_text, refuse_taken, row_binding
from fhirbridge.translate.source_types import KEY_KINDS
from fhirbridge.translate.tables.code_table import refuse_keys
from fhirbridge.translate.values import Scope
from fhirbridge.translate.written import Part, written
from fhirbridge.translate.yaml_tree import (
    Fields,
    Node,
    Scalar,
    Sequence,
    fields_of,
    items_of,
    text_of,
)

NEEDED = ("mapping", "version", "target", "scope", "key", "owner", "reviewed", "resource")
KEYS = (
    *NEEDED,
    "profile",
    "optional",
    "each",
    "when",
    "as_of",
    "keyspace",
    "let",
    "requires",
    "note",
)
_DEFAULT_AS_OF = "coalesce(visit.start, recorded_at)"
_AS_OF_OF_DELIVERY = "$run.recorded"
VERSION = re.compile(r"\d+\.\d+\.\d+")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What other mappings need to know of one."""

    name: str
    version: str
    target: str
    scope: Scope
    keyspace: str
    key: tuple[Node, ...]
    tree: Fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """One level of rows: where they come from, and the slot in which each stands."""

    rows: Run
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An expression of the head, and where it stands."""

    run: Run
    place: Place
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One kind of resource, ready to be made."""

    name: str
    version: str
    target: str
    scope: Scope
    keyspace: str
    each: tuple[Each, ...]
    lets: tuple[int, ...]  # slots to clear before each row
    when: Question | None
    as_of: Question
    key: tuple[Question, ...]
    requires: tuple[Question, ...]
    body: Run
    refers: dict[tuple[str, str], Place]  # (type, keyspace) of each `ref()`, and where it stands
    place: Place
    owner: str
    reviewed: str


def read_head(name: str, tree: Fields, faults: Faults) -> Head:
    """Read what stands in the head without its expressions. Raises FaultError E206."""
    refuse_keys(tree, KEYS, faults, "E206")
    missing = [key for key in NEEDED if key not in tree.items]
    if missing:
        raise FaultError("E206", tree.place, f"the head lacks {', '.join(missing)}")
    texts = {key: text_of(tree.items[key], f"'{key}'", tree.place) for key in NEEDED[:4]}
    _check_head(tree, name, texts)
    spelt = tree.items.get("keyspace")
    return Head(
        name=name,
        version=texts["version"],
        target=texts["target"],
        scope=Scope(texts["scope"]),
        keyspace=text_of(spelt, "'keyspace'", tree.place) if spelt else name,
        key=items_of(tree.items["key"], "'key'", tree.place),
        tree=tree,
    )


def _check_head(tree: Fields, name: str, texts: dict[str, str]) -> None:
    """Refuse a head whose words are not those that are known. Raises FaultError E206."""
    own, known = texts["mapping"], resource_types()
    _check_text(tree, "mapping", f"must be the file's name, '{name}'", good=own == name)
    _check_text(tree, "mapping", "is made of a-z, 0-9 and -", good=bool(_NAME.fullmatch(name)))
    good = bool(VERSION.fullmatch(texts["version"]))
    _check_text(tree, "version", "is like 1.0.0", good=good)
    near = suggest(texts["target"], known)
    _check_text(tree, "target", f"is no resource type we make{near}", good=texts["target"] in known)
    near = suggest(texts["scope"], Scope)
    message = f"is one of {', '.join(Scope)}{near}"
    _check_text(tree, "scope", message, good=texts["scope"] in list(Scope))
    if "optional" in tree.items:
        spelt = text_of(tree.items["optional"], "'optional'", tree.place)
        _check_text(tree, "optional", "is true, or left out", good=spelt == "true")


def _check_text(tree: Fields, key: str, message: str, *, good: bool) -> None:
    if not good:
        raise FaultError("E206", tree.items[key].place, f"'{key}' {message}")


def compile_mapping(head: Head, names: Names, skeletons: SkeletonCompiler) -> Mapping:
    """Compile one mapping; mistakes go to the skeleton compiler's faults.

    Raises FaultError for its head.
    """
    return _MappingCompiler(head, skeletons).compile(names)


class _MappingCompiler:
    """Holds what the parts of one head share."""

    def __init__(self, head: Head, skeletons: SkeletonCompiler) -> None:
        self._head = head
        self._tree = head.tree
        self._skeletons = skeletons
        self._faults = skeletons.faults
        self._world = skeletons.world

    def compile(self, outer: Names) -> Mapping:
        names = replace(
            outer, per_delivery=self._head.scope is Scope.DELIVERY, used=set(), refers={}
        )
        names = replace(names, mapping=self._head.name, at=self._head.target)
        names, each = self._each(names)
        names, lets = self._lets(names)
        when = self._question("when", names)
        if when is not None:
            text, place = expression_text(self._tree.items["when"], sign=False)
            names = names.where(parse_at(text, place))
        body = fields_of(self._tree.items["resource"], "'resource'", self._tree.place)
        body = with_profiles(body, self._tree.items.get("profile"), self._tree.place)
        made = self._made(names, each, lets, when, body)
        self._refuse_idle(names)
        return made

    def _refuse_idle(self, names: Names) -> None:
        """Note each `let` that nothing uses: often another is misspelt, or meant and forgotten."""
        node = self._tree.items.get("let")
        for name, place in node.places.items() if isinstance(node, Fields) else ():
            if name not in names.used:
                self._faults.add("E202", place, f"'{name}' is never used")

    def _made(
        self,
        names: Names,
        each: tuple[Each, ...],
        lets: tuple[int, ...],
        when: Question | None,
        body: Fields,
    ) -> Mapping:
        return Mapping(
            name=self._head.name,
            version=self._head.version,
            target=self._head.target,
            scope=self._head.scope,
            keyspace=self._head.keyspace,
            each=each,
            lets=lets,
            when=when,
            as_of=self._as_of(names),
            key=self._key(names),
            requires=self._requires(names),
            body=self._skeletons.resource(body, self._head.target, names),
            refers=names.refers,
            place=self._tree.places["mapping"],
            owner=text_of(self._tree.items["owner"], "'owner'", self._tree.place),
            reviewed=text_of(self._tree.items["reviewed"], "'reviewed'", self._tree.place),
        )

    def _each(self, names: Names) -> tuple[Names, tuple[Each, ...]]:
        node = self._tree.items.get("each")
        levels = node.items if isinstance(node, Sequence) else (node,) if node else ()
        found = []
        for level in levels:
            names = names.noting()
            rows, name, kind = row_binding(level, names, self._world)
            self._note(Part.EACH, level, names)
            names, slot = names.with_row(name, kind)
            run = asked(rows.run, level.place, traced=self._world.traced)
            found.append(Each(rows=run, slot=slot))
        return names, tuple(found)

    def _lets(self, names: Names) -> tuple[Names, tuple[int, ...]]:
        node = self._tree.items.get("let")
        listed = fields_of(node, "'let'", self._tree.place) if node else None
        slots = []
        for name, value in listed.items.items() if listed else ():
            with self._faults.caught():
                names, whole = names.with_broken(name), names
                refuse_taken(name, whole, value.place)
                text, place = expression_text(value, sign=False)
                own = whole.noting()
                made = compile_text(text, own, world=self._world, place=place)
                self._note(Part.LET, value, own, name)
                slot = names.slots.take()
                slots.append(slot)
                remember = why.noted_let if self._world.traced else _remembered
                meaning = replace(made, run=remember(made.run, slot), noted=own.noted)
                names = whole.with_bound(name, meaning)
        return names, tuple(slots)

    def _question(self, key: str, names: Names) -> Question | None:
        node = self._tree.items.get(key)
        if node is None:
            return None
        return self._faults.attempt(lambda: self._boolean(node, names, Part(key)))

    def _boolean(self, node: Node, names: Names, part: Part, message: str = "") -> Question:
        names = names.noting()
        self._note(part, node, names, message)
        text, place = expression_text(node, sign=False)
        made = Compiler(self._world, place).boolean(parse_at(text, place), names)
        return self._asking(made, node.place, message)

    def _note(self, part: Part, node: Node, names: Names, element: str = "") -> None:
        made = written(part, node, mapping=self._head.name, noted=names.noted, element=element)
        self._skeletons.written.append(made)

    def _asking(self, made: Compiled, place: Place, message: str = "") -> Question:
        run = asked(made.run, place, traced=self._world.traced)
        return Question(run=run, place=place, message=message)

    def _as_of(self, names: Names) -> Question:
        names = names.noting()
        node = self._tree.items.get("as_of")
        per_delivery = self._head.scope is Scope.DELIVERY
        text, place = _AS_OF_OF_DELIVERY if per_delivery else _DEFAULT_AS_OF, self._tree.place
        if node is not None:
            text, place = expression_text(node, sign=False)
        spelt = node or Scalar(text=text, quoted=False, place=place)
        self._note(Part.AS_OF, spelt, names)
        found = self._faults.attempt(lambda: self._moment(text, place, names))
        return found or Question(run=unmade, place=place)

    def _moment(self, text: str, place: Place, names: Names) -> Question:
        compiler, tree = Compiler(self._world, place), parse_at(text, place)
        made = compiler.single(tree, names)
        if made.type.kind != "dateTime":
            message = f"'as_of' must be a time with its offset, and this is {a(made.type)}"
            raise compiler.fault("E205", tree, message)
        return self._asking(made, place)

    def _key(self, names: Names) -> tuple[Question, ...]:
        found = []
        for node in self._head.key:
            with self._faults.caught():
                text, place = expression_text(node, sign=False)
                compiler = Compiler(self._world, place)
                tree = parse_at(text, place)
                own = names.noting()
                self._note(Part.KEY, node, own)
                made = compiler.single(tree, own)
                self._check_key(compiler, tree, made)
                found.append(self._asking(made, node.place))
        return tuple(found)

    def _check_key(self, compiler: Compiler, tree: Expression, made: Compiled) -> None:
        if made.type.kind not in KEY_KINDS:
            shown = compiled.spell(tree)
            raise compiler.fault(
                "E205", tree, f"{shown} is {a(made.type)}, and cannot be part of a key"
            )

    def _requires(self, names: Names) -> tuple[Question, ...]:
        node = self._tree.items.get("requires")
        found = []
        for item in items_of(node, "'requires'", self._tree.place) if node else ():
            with self._faults.caught():
                fields = fields_of(item, "a requirement", self._tree.place)
                if set(fields.items) != {"check", "message"}:
                    raise FaultError("E206", fields.place, "a requirement is {check, message}")
                message = text_of(fields.items["message"], "'message'", fields.place)
                found.append(self._boolean(fields.items["check"], names, Part.REQUIRES, message))
        return tuple(found)


def unmade(_: Frame) -> None:
    """Stand for an expression that has a mistake; the set is refused before it could run."""


def _remembered(run: Run, slot: int) -> Run:
    """Evaluate a `let` once for each row."""

    def value(frame: Frame) -> Any:
        known: tuple[Any] | None = frame.slots[slot]
        if known is None:
            known = frame.slots[slot] = (run(frame),)
        return known[0]

    return value
