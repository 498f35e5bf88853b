"""Functions of mappings: quantity, ref, identifier, document, pdf, xhtml; those of coded fields."""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhirbridge.translate import identity, why
from fhirbridge.translate.documents import templates
from fhirbridge.translate.expressions import coded_functions, document_checks, number_units
from fhirbridge.translate.expressions.compiled import (
    MANY,
    Compiled,
    ExpressionCompiler,
    Function,
    Names,
    constant,
    lifted,
    spell,
    words_of,
)
from fhirbridge.translate.expressions.parser import Call, Expression, Literal, Name
from fhirbridge.translate.faults import A_LET, FaultError, a, suggest
from fhirbridge.translate.frame import Frame, RefusedError
from fhirbridge.translate.source_types import (
    DOCUMENT,
    IDENTIFIER,
    KEY_KINDS,
    NUMBERS,
    QUANTITY,
    XHTML,
    Type,
    is_measure,
)
from fhirbridge.translate.tables import unit_table

_XHTML_START = '<div xmlns="http://www.w3.org/1999/xhtml">'


def _quantity(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    made = compiler.compile(tree.arguments[0], names)
    unit = _unit(compiler, tree, names)
    if is_measure(made.type):
        names.noted.read_inside(made.type, "value", "unit")
        return _of_measure(compiler, tree, made, unit)
    if made.type.kind in NUMBERS and unit is not None:
        number_units.check(compiler, tree.arguments[1], made.type, unit.constant)
        return _of_number(compiler, made, unit)
    missing = (
        "; a number needs a unit: quantity(number, 'unit')" if made.type.kind in NUMBERS else ""
    )
    message = (
        f"quantity() takes a measure or a number, and {spell(tree.arguments[0])} is {a(made.type)}"
    )
    raise compiler.fault("E205", tree.arguments[0], message + missing)


def _unit(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled | None:
    if len(tree.arguments) == 1:
        return None
    argument = tree.arguments[1]
    unit = compiler.single(argument, names)
    if unit.type.kind != "string":
        raise compiler.fault("E205", argument, f"a unit is a text, and this is {a(unit.type)}")
    for name in words_of(unit.type, compiler.world):
        _known_unit(compiler, argument, name)
    return unit


def _known_unit(
    compiler: ExpressionCompiler, tree: Expression, name: str, dimension: str = ""
) -> None:
    compiler.world.units.check(name, compiler.place_of(tree), dimension=dimension)


def _of_measure(
    compiler: ExpressionCompiler, tree: Call, made: Compiled, unit: Compiled | None
) -> Compiled:
    field = made.type.field
    for dimension, name in unit_table.names_in(field.dimensions if field else ()):
        _known_unit(compiler, tree.arguments[0], name, dimension)
    wanted = unit.constant if unit is not None else None
    if unit is not None and wanted is None:
        raise compiler.fault(
            "E203", tree.arguments[1], "a measure is converted to a unit in quotes"
        )
    units = compiler.world.units

    def apply(value: dict[str, Any], frame: Frame) -> Any:
        number = frame.read(value, "value")
        if number is None:
            return None
        name = frame.read(value, "unit")
        if name is None:
            raise RefusedError("E407", "a measure has a value and no unit")
        if wanted is None:
            return units.quantity(number, name)
        return units.quantity(units.convert(Decimal(number), name, wanted), wanted)

    return lifted(made, apply, QUANTITY)


def _of_number(compiler: ExpressionCompiler, made: Compiled, unit: Compiled) -> Compiled:
    units, unit_of = compiler.world.units, unit.run

    def apply(number: Any, frame: Frame) -> Any:
        name = unit_of(frame)
        if name is None:
            raise RefusedError("E407", "a number has no unit")
        return units.quantity(number, name)

    return lifted(made, apply, QUANTITY)


def _ref(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    target, keyspace, arguments = _ref_target(compiler, tree)
    parts = [compiler.compile(argument, names) for argument in arguments]
    _check_keys(compiler, parts, arguments)
    arity = compiler.world.keyspaces[target][keyspace]
    if len(parts) != arity:
        message = f"the key of {target} '{keyspace}' has {arity} part(s), not {len(parts)}"
        raise compiler.fault("E216", tree, message)
    names.refers.setdefault((target, keyspace), compiler.place_of(tree))
    kind = Type(kind="Reference", refers=target)

    rule = f"ref({target})"
    space = (target, keyspace, *(made.type.kind for made in parts))  # True and 1 are two keys

    def refer(values: list[Any], frame: Frame) -> dict[str, str]:
        own = frame.ids.get((space, *values))
        if own is None:
            own = identity.resource_id(frame.site, target, keyspace, *values)
            frame.ids[space, *values] = own
        frame.follow(rule)
        return {"reference": f"{target}/{own}"}

    return _of_parts(parts, refer, kind)


def _ref_target(
    compiler: ExpressionCompiler, tree: Call
) -> tuple[str, str, tuple[Expression, ...]]:
    first, rest = tree.arguments[0], tree.arguments[1:]
    keyspaces = compiler.world.keyspaces
    if not isinstance(first, Name):
        raise compiler.fault("E216", first, "ref() takes a resource type first, without quotes")
    if first.name not in keyspaces:
        message = f"no mapping makes {a(first.name)}{suggest(first.name, keyspaces)}"
        raise compiler.fault("E216", first, message, needs="resources/")
    known = keyspaces[first.name]
    if rest and isinstance(rest[0], Literal) and isinstance(rest[0].value, str):
        if rest[0].value not in known:
            near = suggest(rest[0].value, known)
            message = f"no mapping makes {a(first.name)} with the keyspace '{rest[0].value}'{near}"
            raise compiler.fault("E216", rest[0], message, needs="resources/")
        return first.name, rest[0].value, rest[1:]
    if len(known) > 1:
        shown = ", ".join(map(repr, sorted(known)))
        message = f"several mappings make {a(first.name)}; name one after the type: {shown}"
        raise compiler.fault("E216", tree, message)
    return first.name, next(iter(known)), rest


def _check_keys(
    compiler: ExpressionCompiler, parts: list[Compiled], arguments: tuple[Expression, ...]
) -> None:
    if sum(made.type.many for made in parts) > 1:
        raise compiler.fault("E205", arguments[0], "only one part of a key may be a list")
    for made, argument in zip(parts, arguments, strict=True):
        if made.type.kind not in KEY_KINDS:
            raise compiler.fault("E205", argument, f"{a(made.type)} cannot be part of a key")


def _of_parts(
    parts: list[Compiled], make: Callable[[list[Any], Frame], Any], kind: Type
) -> Compiled:
    """Make one thing of several key parts, or one for each row of the part that is a list."""
    runs = [made.run for made in parts]
    many = [number for number, made in enumerate(parts) if made.type.many]

    def one(frame: Frame) -> Any:
        values = [run(frame) for run in runs]
        return None if None in values else make(values, frame)

    if not many:
        return Compiled(run=one, type=kind)

    def each(frame: Frame) -> Any:
        values = [run(frame) for run in runs]
        if None in values:
            return []
        rows, at = values[many[0]], many[0]
        return [make([*values[:at], row, *values[at + 1 :]], frame) for row in rows]

    return Compiled(run=each, type=kind.list())


def _identifier(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    name = constant(compiler, tree.arguments[0], "identifier() takes a name in quotes first")
    arguments = tree.arguments[1:]
    parts = [compiler.compile(argument, names) for argument in arguments]
    _check_keys(compiler, parts, arguments)

    def identify(values: list[Any], frame: Frame) -> dict[str, str]:
        value = identity.opaque(frame.site, f"identifier {name}", *values)
        return {"system": f"https://{frame.site.host}/id/{name}", "value": value}

    return _of_parts(parts, identify, IDENTIFIER)


def _document(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rendered = _rendered(compiler, tree, names)

    def encode(frame: Frame) -> str:
        return base64.b64encode(rendered(frame).encode("utf-8")).decode("ascii")

    return Compiled(run=encode, type=DOCUMENT)


def _pdf(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rendered = _rendered(compiler, tree, names)
    name = constant(compiler, tree.arguments[0], "")
    title = name.replace("-", " ").capitalize()

    def encode(frame: Frame) -> str:
        # Its libraries take half a second to load, and only few destinations want a PDF.
        from fhirbridge.translate.documents import paper  # noqa: PLC0415

        page = rendered(frame)
        try:
            return base64.b64encode(paper.pdf(page, title)).decode("ascii")
        except paper.FAILURES:
            message = f"documents/{name}.html could not be printed as a PDF"
            raise RefusedError("E409", message) from None

    return Compiled(run=encode, type=DOCUMENT)


def _xhtml(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rendered = _rendered(compiler, tree, names)
    name = constant(compiler, tree.arguments[0], "")
    if not compiler.world.documents.by_name[name].text.lstrip().startswith(_XHTML_START):
        message = f"documents/{name}.html must start with {_XHTML_START}"
        raise compiler.fault("E209", tree.arguments[0], message)
    if "<plot" in compiler.world.documents.by_name[name].text:
        message = f"documents/{name}.html has a <plot>, and R4 takes no drawing in a text.div"
        raise compiler.fault("E209", tree.arguments[0], message)
    return Compiled(run=rendered, type=XHTML)


def _rendered(compiler: ExpressionCompiler, tree: Call, names: Names) -> Callable[[Frame], str]:
    name = constant(compiler, tree.arguments[0], "the name of a document stands in quotes")
    known = compiler.world.documents
    if name not in known.by_name:
        message = f"there is no documents/{name}.html{suggest(name, known.by_name)}"
        needs = f"documents/{name}.html"
        raise compiler.fault("E209", tree.arguments[0], message, needs=needs)
    for word in names.broken & known.by_name[name].names:
        names.used.add(word)
        message = f"'{word}' in documents/{name}.html has a mistake itself"
        raise compiler.fault("E209", tree.arguments[0], message, needs=A_LET)
    in_reach = document_checks.names_in_reach(names, traced=compiler.world.traced)
    found = document_checks.faults_in(known.by_name[name], in_reach, names.noted, compiler.world)
    if found:
        raise FaultError(found[0].code, found[0].place, found[0].message, more=tuple(found[1:]))
    used = {word: in_reach[word] for word in sorted(known.by_name[name].names)}
    names.used.update(used)

    def render(frame: Frame) -> str:
        context = {
            word: templates.seen(made.run(frame), made.type, frame) for word, made in used.items()
        }
        return known.render(name, context).strip()

    return why.noted_document(render, name) if compiler.world.traced else render


TABLE: dict[str, Function] = {
    **coded_functions.TABLE,
    "quantity": Function(make=_quantity, least=1, most=2),
    "ref": Function(make=_ref, least=2, most=MANY),
    "identifier": Function(make=_identifier, least=2, most=MANY),
    "document": Function(make=_document, least=1, most=1),
    "pdf": Function(make=_pdf, least=1, most=1),
    "xhtml": Function(make=_xhtml, least=1, most=1),
}
