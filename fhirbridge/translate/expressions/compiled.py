"""What the compiler hands around: closures with their types, and the names that are in reach."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fhirbridge.translate.documents.templates import Documents
from fhirbridge.translate.expressions.narrowing import Facts, facts_of, merged
from fhirbridge.translate.expressions.parser import (
    Call,
    Dollar,
    Expression,
    Index,
    Literal,
    Member,
    Name,
)
from fhirbridge.translate.faults import FaultError, Place
from fhirbridge.translate.frame import Frame, Run
from fhirbridge.translate.source_types import Type
from fhirbridge.translate.tables.code_table import CodeTable
from fhirbridge.translate.tables.concept_maps import ConceptMap
from fhirbridge.translate.tables.unit_table import UnitTable
from fhirbridge.translate.written import Noted


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An expression ready to run: gives a value or None, or a list where the type says many."""

    run: Run
    type: Type
    constant: Any = None  # the value, where it is known at load
    noted: Noted | None = None  # of a `let`: what whoever names it reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What a fragment's parameter stands for.

    An expression, with the names where it was written.
    """

    tree: Expression
    names: "Names"
    place: Place


@dataclass(slots=True)
class Slots:
    """Counts the places in a frame that the names of one set need."""

    count: int = 0

    def take(self) -> int:
        self.count += 1
        return self.count - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a name may mean at one place of a mapping."""

    record: Type
    slots: Slots
    per_delivery: bool  # whether $run.targets and its like exist
    bound: Mapping[str, Compiled] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()  # names of a `let` with a mistake
    parameters: Mapping[str, Argument] = field(default_factory=dict)
    item: Compiled | None = None  # $this
    facts: Facts = field(default_factory=dict)  # what the conditions around this place say
    used: set[str] = field(default_factory=set)  # bound names that some expression took
    noted: Noted = field(default_factory=Noted)  # what the expression being compiled takes
    mapping: str = ""  # whose expression it is
    at: str = ""  # the element being written: "Observation.component"
    under: tuple[str, ...] = ()  # the conditions around it, as they are written
    refers: dict[tuple[str, str], Place] = field(default_factory=dict)  # (type, keyspace): where

    def whole_record(self) -> Compiled:
        return Compiled(run=lambda frame: frame.record, type=self.record)

    def with_bound(self, name: str, meaning: Compiled) -> "Names":
        return replace(self, bound={**self.bound, name: meaning})

    def with_broken(self, name: str) -> "Names":
        return replace(self, broken=self.broken | {name})

    def with_item(self, item: Compiled) -> "Names":
        return replace(self, item=item, facts={})

    def noting(self) -> "Names":
        """Return the same names for one expression, whose reads are gathered apart."""
        return replace(self, noted=Noted())

    def below(self, condition: str) -> "Names":
        """Return the same names for what is written under a condition."""
        return replace(self, under=(*self.under, " ".join(condition.split())))

    def where(self, tree: Expression, *, holds: bool = True) -> "Names":
        """Return the names in reach where a condition holds, or where it does not."""
        return replace(self, facts=merged(self.facts, facts_of(tree, holds=holds)))

    def with_row(self, name: str, kind: Type) -> tuple["Names", int]:
        """Bind a name to the rows of a list; return the slot in which each row will stand."""
        slot = self.slots.take()
        return self.with_bound(name, slot_of(slot, kind)), slot


def slot_of(slot: int, kind: Type) -> Compiled:
    """Return what reads a slot of the frame."""
    return Compiled(run=lambda frame: frame.slots[slot], type=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The tables of one set: all that an expression may name beside the record."""

    codes: CodeTable
    units: UnitTable
    maps: Mapping[str, ConceptMap]
    documents: Documents
    tables: Mapping[str, tuple[str, ...]]  # keys of the record's vocabulary tables
    keyspaces: Mapping[str, Mapping[str, int]]  # type -> keyspace -> number of key parts
    traced: bool = True  # whether the closures note what they read


class ExpressionCompiler(Protocol):
    """What functions need of the compiler."""

    @property
    def world(self) -> World: ...

    def compile(self, tree: Expression, names: Names) -> Compiled: ...

    def single(self, tree: Expression, names: Names) -> Compiled: ...

    def boolean(self, tree: Expression, names: Names) -> Compiled: ...

    def number(self, tree: Expression, names: Names) -> Compiled: ...

    def place_of(self, tree: Expression) -> Place: ...

    def fault(
        self, code: str, tree: Expression, message: str, *, needs: str = ""
    ) -> FaultError: ...


Make = Callable[[ExpressionCompiler, Call, Names], Compiled]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of expressions: how many arguments it takes, and what compiles a call."""

    make: Make
    least: int
    most: int

    @property
    def shown(self) -> str:
        if self.most >= MANY:
            return f"at least {self.least} argument(s)"
        if self.least == self.most:
            return f"{self.least} argument(s)" if self.least else "no argument"
        return f"{self.least} to {self.most} arguments"


MANY = 99


def as_list(made: Compiled) -> Run:
    """Return the closure of a list; one value becomes a list of one, nothing an empty list."""
    if made.type.many:
        return made.run
    run = made.run

    def rows(frame: Frame) -> list[Any]:
        value = run(frame)
        return [] if value is None else [value]

    return rows


def words_of(kind: Type, world: World) -> tuple[str, ...]:
    """Return the closed set of words that a text can be, where there is one."""
    return kind.values or world.tables.get(kind.table, ())


def spell(tree: Expression) -> str:
    """Write a path as it was written, for messages."""
    match tree:
        case Name():
            return tree.name
        case Dollar():
            return f"${tree.name}"
        case Member():
            return f"{spell(tree.base)}.{tree.name}"
        case Index():
            return f"{spell(tree.base)}[{tree.number}]"
        case Call():
            return f"{spell(tree.base)}.{tree.name}()" if tree.base else f"{tree.name}()"
    return "this"


def lifted(made: Compiled, apply: Callable[[Any, Frame], Any], kind: Type) -> Compiled:
    """Apply a function to a value, or to each of a list; what comes out empty is left out."""
    run = made.run
    if not made.type.many:

        def one(frame: Frame) -> Any:
            value = run(frame)
            return None if value is None else apply(value, frame)

        return Compiled(run=one, type=kind)

    def each(frame: Frame) -> Any:
        found = (apply(value, frame) for value in run(frame))
        return [value for value in found if value is not None]

    return Compiled(run=each, type=kind.list())


def constant(compiler: ExpressionCompiler, tree: Expression, message: str) -> str:
    """Return a text in quotes, or a bare word."""
    if isinstance(tree, Literal) and isinstance(tree.value, str):
        return tree.value
    if isinstance(tree, Name):
        return tree.name
    raise compiler.fault("E203", tree, message)
