"""Functions of mappings: quantity, ref, identifier, translate, code, text, document, xhtml."""

import base64
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhirbridge.translate import identity, why
from fhirbridge.translate.documents import templates
from fhirbridge.translate.expressions import document_checks
from fhirbridge.translate.expressions.compiled import (
    MANY,
    Compiled,
    ExpressionCompiler,
    Function,
    Names,
    spell,
    words_of,
)
from fhirbridge.translate.expressions.parser import Call, Expression, Literal, Name
from fhirbridge.translate.faults import FaultError, a, suggest
from fhirbridge.translate.frame import Frame, RefusedError
from fhirbridge.translate.source_types import (
    DOCUMENT,
    IDENTIFIER,
    NUMBERS,
    QUANTITY,
    WORDS,
    XHTML,
    Type,
    is_coded,
    is_measure,
)
from fhirbridge.translate.tables import unit_table
from fhirbridge.translate.tables.code_table import Concept
from fhirbridge.translate.tables.concept_maps import ConceptMap

_XHTML_START = '<div xmlns="http://www.w3.org/1999/xhtml">'
_KEY_KINDS = ("string", "integer", "decimal", "date", "dateTime", "partialDate", "boolean")


def _lifted(made: Compiled, apply: Callable[[Any, Frame], Any], kind: Type) -> Compiled:
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


def _quantity(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    made = compiler.compile(tree.arguments[0], names)
    unit = _unit(compiler, tree, names)
    if is_measure(made.type):
        names.noted.read_inside(made.type, "value", "unit")
        return _of_measure(compiler, tree, made, unit)
    if made.type.kind in NUMBERS and unit is not None:
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
    compiler.world.units.check(name, compiler.fault("", tree, "").fault.place, dimension=dimension)


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

    return _lifted(made, apply, QUANTITY)


def _of_number(compiler: ExpressionCompiler, made: Compiled, unit: Compiled) -> Compiled:
    units, unit_of = compiler.world.units, unit.run

    def apply(number: Any, frame: Frame) -> Any:
        name = unit_of(frame)
        if name is None:
            raise RefusedError("E407", "a number has no unit")
        return units.quantity(number, name)

    return _lifted(made, apply, QUANTITY)


def _ref(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    target, keyspace, arguments = _ref_target(compiler, tree)
    parts = [compiler.compile(argument, names) for argument in arguments]
    _check_keys(compiler, parts, arguments)
    arity = compiler.world.keyspaces[target][keyspace]
    if len(parts) != arity:
        message = f"the key of {target} '{keyspace}' has {arity} part(s), not {len(parts)}"
        raise compiler.fault("E216", tree, message)
    names.refers.setdefault((target, keyspace), compiler.fault("", tree, "").fault.place)
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
        if made.type.kind not in _KEY_KINDS:
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
    name = _constant(compiler, tree.arguments[0], "identifier() takes a name in quotes first")
    arguments = tree.arguments[1:]
    parts = [compiler.compile(argument, names) for argument in arguments]
    _check_keys(compiler, parts, arguments)

    def identify(values: list[Any], frame: Frame) -> dict[str, str]:
        value = identity.opaque(frame.site, f"identifier {name}", *values)
        return {"system": f"https://{frame.site.host}/id/{name}", "value": value}

    return _of_parts(parts, identify, IDENTIFIER)


def _constant(compiler: ExpressionCompiler, tree: Expression, message: str) -> str:
    """Return a text in quotes, or a bare word."""
    if isinstance(tree, Literal) and isinstance(tree.value, str):
        return tree.value
    if isinstance(tree, Name):
        return tree.name
    raise compiler.fault("E203", tree, message)


def _translate(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    message = "translate() takes the name of a ConceptMap first; with a hyphen it stands in quotes"
    name = _constant(compiler, tree.arguments[0], message)
    maps = compiler.world.maps
    if name not in maps:
        message = f"no ConceptMap '{name}'{suggest(name, maps)}"
        needs = f"conceptmaps/{name}.yaml"
        raise compiler.fault("E204", tree.arguments[0], message, needs=needs)
    made = compiler.compile(tree.arguments[1], names)
    coded = is_coded(made.type)
    if not coded and made.type.kind != "string":
        message = f"translate() takes a coded field or a word, and this is {a(made.type)}"
        raise compiler.fault("E205", tree.arguments[1], message)
    _check_table(compiler, tree, made.type, maps[name])
    names.noted.translate(name, made.type)
    concept_map = maps[name]

    def of_word(word: str, frame: Frame) -> Concept:
        concept, rule = concept_map.find(word)
        frame.follow(rule)
        return concept

    def of_coded(value: dict[str, Any], frame: Frame) -> Concept | None:
        key = value.get("key")
        if key is not None:
            return of_word(frame.read(value, "key"), frame)
        return as_given(value, frame)

    kind = Type(kind="concept", codes=concept_map.codes(), words_too=coded)
    return _lifted(made, of_coded if coded else of_word, kind)


def _check_table(
    compiler: ExpressionCompiler, tree: Call, kind: Type, concept_map: ConceptMap
) -> None:
    """Refuse a map of another table, or without a row for each word of the field."""
    if concept_map.table and kind.table == concept_map.table:
        return
    has_key = kind.field is not None and "key" in kind.field.fields
    if has_key or (kind.table and concept_map.table):
        own = f"keys of '{kind.table}'" if kind.table else "keys of several tables"
        wanted = f"'{concept_map.table}'" if concept_map.table else "one field"
        message = f"the field takes {own}, and this map is for {wanted}"
        raise compiler.fault("E204", tree.arguments[0], message)
    words = words_of(kind, compiler.world)
    missing = [word for word in words if word not in concept_map.rows]
    if missing:
        message = f"the map has no row for '{missing[0]}', which the field can be"
        raise compiler.fault("E204", tree.arguments[0], message)


def as_given(value: dict[str, Any], frame: Frame) -> Concept | None:
    """Return a coded field's own system and code, or its text."""
    if value.get("code") is not None:
        names = ("system", "code", "display")
        coding = {name: found for name in names if (found := frame.read(value, name)) is not None}
        frame.follow("as given")
        return Concept(codings=(coding,))
    text = frame.read(value, "text")
    return None if text is None else Concept(text=text)


def _code(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    alias = _constant(
        compiler, tree.arguments[0], "code() takes a code system of codes.yaml in quotes"
    )
    table, place = compiler.world.codes, compiler.fault("", tree.arguments[0], "").fault.place
    system = table.system(alias, place)
    made = compiler.single(tree.arguments[1], names)
    if made.type.kind != "string":
        raise compiler.fault(
            "E205", tree.arguments[1], f"a code is a text, and this is {a(made.type)}"
        )
    words = words_of(made.type, compiler.world)
    names.noted.use_codes(alias, words or system.displays)
    for word in words:
        table.find(alias, word, compiler.fault("", tree.arguments[1], "").fault.place)

    def apply(code: str, _: Frame) -> Concept:
        if code not in system.displays:
            raise RefusedError("E406", f"the code is not among those of '{alias}' in codes.yaml")
        return table.concept(alias, code)

    codes = tuple((system.url, code) for code in words or system.displays)
    return _lifted(made, apply, Type(kind="concept", codes=codes))


def _text(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    made = compiler.compile(tree.arguments[0], names)
    if made.type.kind == "string":
        return _lifted(made, lambda text, _: Concept(text=text), WORDS)
    if not is_coded(made.type):
        message = f"text() takes a text or a coded field, and this is {a(made.type)}"
        raise compiler.fault("E205", tree.arguments[0], message)

    names.noted.read_inside(made.type, "text", "display", "key", "code")

    def words(value: dict[str, Any], frame: Frame) -> Concept | None:
        for name in ("text", "display", "key", "code"):
            if value.get(name) is not None:
                return Concept(text=frame.read(value, name))
        return None

    return _lifted(made, words, WORDS)


def _document(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rendered = _rendered(compiler, tree, names)

    def encode(frame: Frame) -> str:
        return base64.b64encode(rendered(frame).encode("utf-8")).decode("ascii")

    return Compiled(run=encode, type=DOCUMENT)


def _xhtml(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    rendered = _rendered(compiler, tree, names)
    name = _constant(compiler, tree.arguments[0], "")
    if not compiler.world.documents.by_name[name].text.lstrip().startswith(_XHTML_START):
        message = f"documents/{name}.html must start with {_XHTML_START}"
        raise compiler.fault("E209", tree.arguments[0], message)
    return Compiled(run=rendered, type=XHTML)


def _rendered(compiler: ExpressionCompiler, tree: Call, names: Names) -> Callable[[Frame], str]:
    name = _constant(compiler, tree.arguments[0], "the name of a document stands in quotes")
    known = compiler.world.documents
    if name not in known.by_name:
        message = f"there is no documents/{name}.html{suggest(name, known.by_name)}"
        needs = f"documents/{name}.html"
        raise compiler.fault("E209", tree.arguments[0], message, needs=needs)
    in_reach = document_checks.names_in_reach(names, traced=compiler.world.traced)
    found = document_checks.faults_in(known.by_name[name], in_reach, names.noted)
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
    "quantity": Function(make=_quantity, least=1, most=2),
    "ref": Function(make=_ref, least=2, most=MANY),
    "identifier": Function(make=_identifier, least=2, most=MANY),
    "translate": Function(make=_translate, least=2, most=2),
    "code": Function(make=_code, least=2, most=2),
    "text": Function(make=_text, least=1, most=1),
    "document": Function(make=_document, least=1, most=1),
    "xhtml": Function(make=_xhtml, least=1, most=1),
}
