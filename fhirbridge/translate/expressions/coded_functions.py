"""Functions of coded fields: translate, words, code, text; and of times in words: clock."""

from typing import Any

from fhirbridge.translate.documents import templates
from fhirbridge.translate.expressions.compiled import (
    Compiled,
    ExpressionCompiler,
    Function,
    Names,
    constant,
    lifted,
    spell,
    words_of,
)
from fhirbridge.translate.expressions.parser import Call
from fhirbridge.translate.faults import a, suggest
from fhirbridge.translate.frame import Frame, RefusedError
from fhirbridge.translate.source_types import STRING, WORDS, Type, is_coded
from fhirbridge.translate.tables.code_table import Concept
from fhirbridge.translate.tables.concept_maps import ConceptMap

_SAID = ("text", "display", "key", "code")  # which word of a coded field is for people


def _mapped(
    compiler: ExpressionCompiler, tree: Call, names: Names
) -> tuple[Compiled, ConceptMap, bool]:
    """Compile a coded field or a word with the map for it; say which of the two it is."""
    own = f"{tree.name}()"
    message = f"{own} takes the name of a ConceptMap first; with a hyphen it stands in quotes"
    name = constant(compiler, tree.arguments[0], message)
    maps = compiler.world.maps
    if name not in maps:
        message = f"no ConceptMap '{name}'{suggest(name, maps)}"
        needs = f"conceptmaps/{name}.yaml"
        raise compiler.fault("E204", tree.arguments[0], message, needs=needs)
    made = compiler.compile(tree.arguments[1], names)
    coded = is_coded(made.type)
    if not coded and made.type.kind != "string":
        message = f"{own} takes a coded field or a word, and this is {a(made.type)}"
        raise compiler.fault("E205", tree.arguments[1], message)
    _check_table(compiler, tree, made.type, maps[name])
    return made, maps[name], coded


def _translate(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    made, concept_map, coded = _mapped(compiler, tree, names)
    names.noted.translate(concept_map.name, made.type)

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
    return lifted(made, of_coded if coded else of_word, kind)


def _words(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    """Compile `words(route, v)`: what a document's `coded('route')` prints."""
    made, concept_map, coded = _mapped(compiler, tree, names)
    names.noted.use_map(concept_map.name)
    names.noted.read_inside(made.type, *_SAID)

    def of_coded(value: dict[str, Any], frame: Frame) -> str | None:
        if value.get("key") is not None:
            return templates.words_of_key(frame.read(value, "key"), concept_map)
        return next((frame.read(value, name) for name in _SAID if value.get(name)), None)

    def of_word(word: str, _: Frame) -> str:
        return templates.words_of_key(word, concept_map)

    return lifted(made, of_coded if coded else of_word, STRING)


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
    alias = constant(
        compiler, tree.arguments[0], "code() takes a code system of codes.yaml in quotes"
    )
    table, place = compiler.world.codes, compiler.place_of(tree.arguments[0])
    system = table.system(alias, place)
    made = compiler.single(tree.arguments[1], names)
    if made.type.kind != "string":
        raise compiler.fault(
            "E205", tree.arguments[1], f"a code is a text, and this is {a(made.type)}"
        )
    words = words_of(made.type, compiler.world)
    names.noted.use_codes(alias, words or system.displays)
    for word in words:
        table.find(alias, word, compiler.place_of(tree.arguments[1]))

    def apply(code: str, _: Frame) -> Concept:
        if code not in system.displays:
            raise RefusedError("E406", f"the code is not among those of '{alias}' in codes.yaml")
        return table.concept(alias, code)

    codes = tuple((system.url, code) for code in words or system.displays)
    return lifted(made, apply, Type(kind="concept", codes=codes))


def _text(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    made = compiler.compile(tree.arguments[0], names)
    if made.type.kind == "string":
        return lifted(made, lambda text, _: Concept(text=text), WORDS)
    if not is_coded(made.type):
        message = f"text() takes a text or a coded field, and this is {a(made.type)}"
        raise compiler.fault("E205", tree.arguments[0], message)

    names.noted.read_inside(made.type, *_SAID)

    def words(value: dict[str, Any], frame: Frame) -> Concept | None:
        for name in _SAID:
            if value.get(name) is not None:
                return Concept(text=frame.read(value, name))
        return None

    return lifted(made, words, WORDS)


def _clock(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    """Compile `clock(r.start, visit.start)`: a time as one says it beside another."""
    runs = []
    for argument in tree.arguments:
        made = compiler.single(argument, names)
        if made.type.kind != "dateTime":
            message = f"clock() takes two times, and {spell(argument)} is {a(made.type)}"
            raise compiler.fault("E205", argument, message)
        runs.append(made.run)
    told, beside = runs

    def run(frame: Frame) -> str | None:
        moment = told(frame)
        return None if moment is None else templates.clock(moment, beside(frame), templates.SECOND)

    return Compiled(run=run, type=STRING)


TABLE: dict[str, Function] = {
    "translate": Function(make=_translate, least=2, most=2),
    "words": Function(make=_words, least=2, most=2),
    "code": Function(make=_code, least=2, most=2),
    "text": Function(make=_text, least=1, most=1),
    "clock": Function(make=_clock, least=2, most=2),
}
