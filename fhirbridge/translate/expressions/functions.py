"""FHIRPath's functions: a small part, with their types."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fhirbridge.translate import why
from fhirbridge.translate.expressions import conversions, number_units, operators, text_functions
from fhirbridge.translate.expressions.compiled import (
    MANY,
    Compiled,
    ExpressionCompiler,
    Function,
    Make,
    Names,
    as_list,
    slot_of,
    words_of,
)
from fhirbridge.translate.expressions.parser import Call, Expression, Literal
from fhirbridge.translate.faults import a, suggest
from fhirbridge.translate.frame import Frame, RefusedError, Run
from fhirbridge.translate.source_types import (
    BOOLEAN,
    DECIMAL,
    INTEGER,
    NUMBERS,
    Type,
)


def distinct(rows: list[Any]) -> list[Any]:
    """Return each value once, in the order of its first coming."""
    found: list[Any] = []
    for row in rows:
        if row not in found:
            found.append(row)
    return found


def _base(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    assert tree.base is not None
    return compiler.compile(tree.base, names)


def _in_row(
    compiler: ExpressionCompiler, tree: Call, names: Names, base: Compiled
) -> tuple[Compiled, int]:
    """Compile the first argument with $this as a row of the base.

    Return it with the slot of the row.
    """
    slot = names.slots.take()
    inner = names.with_item(slot_of(slot, base.type.one()))
    return compiler.compile(tree.arguments[0], inner), slot


def _filter(compiler: ExpressionCompiler, tree: Call, names: Names) -> tuple[Compiled, Run]:
    base = _base(compiler, tree, names)
    made, slot = _in_row(compiler, tree, names, base)
    if made.type.many or made.type.kind != "boolean":
        message = f"{tree.name}() needs a yes or no, and this is {a(made.type)}"
        raise compiler.fault("E205", tree.arguments[0], message)
    rows = as_list(base)
    wanted = why.noted_test(made.run) if compiler.world.traced else made.run

    def kept(frame: Frame) -> list[Any]:
        found: list[Any] = []
        for row in rows(frame):
            frame.slots[slot] = row
            if wanted(frame) is True:
                found.append(row)
        return found

    return base, kept


def _exists(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    if tree.arguments:
        kept = _filter(compiler, tree, names)[1]
        return Compiled(run=lambda frame: bool(kept(frame)), type=BOOLEAN)
    rows = as_list(_base(compiler, tree, names))
    return Compiled(run=lambda frame: bool(rows(frame)), type=BOOLEAN)


def _empty(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rows = as_list(_base(compiler, tree, names))
    return Compiled(run=lambda frame: not rows(frame), type=BOOLEAN)


def _where(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    base, kept = _filter(compiler, tree, names)
    if base.type.many:
        return Compiled(run=kept, type=base.type)
    return Compiled(run=lambda frame: next(iter(kept(frame)), None), type=base.type)


def _all(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    base, kept = _filter(compiler, tree, names)
    rows = as_list(base)
    return Compiled(run=lambda frame: len(kept(frame)) == len(rows(frame)), type=BOOLEAN)


def _select(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    base = _base(compiler, tree, names)
    made, slot = _in_row(compiler, tree, names, base)
    rows, inner = as_list(base), as_list(made)

    def selected(frame: Frame) -> list[Any]:
        found: list[Any] = []
        for row in rows(frame):
            frame.slots[slot] = row
            found.extend(inner(frame))
        return found

    if base.type.many or made.type.many:
        return Compiled(run=selected, type=made.type.list())
    return Compiled(run=lambda frame: next(iter(selected(frame)), None), type=made.type)


def _not(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    operand = compiler.boolean(tree.base or tree.arguments[0], names)
    return Compiled(run=operators.negation(operand.run), type=BOOLEAN)


def _pick(choose: Callable[[list[Any]], Any]) -> Make:
    def make(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
        base = _base(compiler, tree, names)
        rows = as_list(base)
        return Compiled(run=lambda frame: choose(rows(frame)), type=base.type.one())

    return make


def _only(rows: list[Any]) -> Any:
    if len(rows) > 1:
        raise RefusedError("E407", "single() found more than one")
    return rows[0] if rows else None


def _count(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rows = as_list(_base(compiler, tree, names))
    return Compiled(run=lambda frame: len(rows(frame)), type=INTEGER)


def _distinct(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    base = _base(compiler, tree, names)
    rows = as_list(base)
    return Compiled(run=lambda frame: distinct(rows(frame)), type=base.type.list())


def joined(compiler: ExpressionCompiler, tree: Expression, types: list[Type]) -> Type:
    """Return the one type of several branches. Raises FaultError where they differ."""
    kinds = {kind.kind for kind in types}
    first = types[0]
    if len(kinds) > 1:
        if not kinds <= set(NUMBERS):
            shown = " and ".join(sorted(kinds))
            raise compiler.fault("E205", tree, f"the branches must be of one kind, not {shown}")
        first = DECIMAL
    if any(
        set(kind.field.fields) != set(first.field.fields)
        for kind in types
        if kind.field and first.field
    ):
        raise compiler.fault("E205", tree, "the branches must be objects with the same fields")
    words = [words_of(kind, compiler.world) for kind in types]
    values = tuple(word for known in words for word in known) if all(words) else ()
    refers = {kind.refers for kind in types}
    return replace(
        first,
        many=any(kind.many for kind in types),
        values=values,
        table=first.table if len({kind.table for kind in types}) == 1 else "",
        unit=number_units.shared(compiler, tree, types),
        refers="|".join(sorted(part for part in refers if part)),
        codes=tuple(code for kind in types for code in kind.codes),
        paths=tuple(dict.fromkeys(path for kind in types for path in kind.paths)),
        words_too=any(kind.words_too for kind in types),
    )


def _iif(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    condition = tree.arguments[0]
    wanted = compiler.boolean(condition, names).run
    ways = zip(tree.arguments[1:], (True, False), strict=False)
    branches = [compiler.compile(way, names.where(condition, holds=holds)) for way, holds in ways]
    kind = joined(compiler, tree, [made.type for made in branches])
    runs = [as_list(made) if kind.many else made.run for made in branches]
    nothing: Run = lambda _: [] if kind.many else None  # noqa: E731 - one line says it
    yes, no = runs[0], runs[1] if len(runs) > 1 else nothing
    return Compiled(run=lambda frame: yes(frame) if wanted(frame) is True else no(frame), type=kind)


def _coalesce(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    made = [compiler.compile(argument, names) for argument in tree.arguments]
    kind = joined(compiler, tree, [one.type for one in made])
    _refuse_near_miss(compiler, tree, [one.type for one in made])
    runs = [as_list(one) for one in made]

    def run(frame: Frame) -> Any:
        found: list[Any] = next((rows for one in runs if (rows := one(frame))), [])
        if kind.many:
            return found
        return found[0] if found else None

    return Compiled(run=run, type=kind)


def _refuse_near_miss(compiler: ExpressionCompiler, tree: Call, types: list[Type]) -> None:
    """Refuse a literal that is almost a word of the field that it stands in for."""
    ways = [
        (argument, words)
        for argument, kind in zip(tree.arguments, types, strict=True)
        if (words := words_of(kind, compiler.world))
    ]
    known = {word for way, words in ways if not isinstance(way, Literal) for word in words}
    for way, words in ways:
        near = suggest(words[0], known) if isinstance(way, Literal) else ""
        if near and words[0] not in known:
            raise compiler.fault("E205", way, f"the field is never '{words[0]}'{near}")


TABLE: dict[str, Function] = {
    **text_functions.TABLE,
    **conversions.TABLE,
    "exists": Function(make=_exists, least=0, most=1),
    "empty": Function(make=_empty, least=0, most=0),
    "not": Function(make=_not, least=0, most=0),
    "first": Function(make=_pick(lambda rows: rows[0] if rows else None), least=0, most=0),
    "last": Function(make=_pick(lambda rows: rows[-1] if rows else None), least=0, most=0),
    "single": Function(make=_pick(_only), least=0, most=0),
    "count": Function(make=_count, least=0, most=0),
    "where": Function(make=_where, least=1, most=1),
    "select": Function(make=_select, least=1, most=1),
    "all": Function(make=_all, least=1, most=1),
    "distinct": Function(make=_distinct, least=0, most=0),
}
BARE: dict[str, Function] = {
    **conversions.BARE,
    "iif": Function(make=_iif, least=2, most=3),
    "coalesce": Function(make=_coalesce, least=1, most=MANY),
    "not": Function(make=_not, least=1, most=1),
}
