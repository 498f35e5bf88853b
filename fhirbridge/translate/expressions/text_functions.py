"""FHIRPath's functions of texts; nothing where any of the texts is nothing."""

import re
from collections.abc import Callable
from typing import Any

from fhirbridge.translate.expressions.compiled import (
    Compiled,
    ExpressionCompiler,
    Function,
    Make,
    Names,
    as_list,
    spell,
    words_of,
)
from fhirbridge.translate.expressions.parser import Call, Expression
from fhirbridge.translate.faults import a
from fhirbridge.translate.frame import Frame, Run
from fhirbridge.translate.source_types import BOOLEAN, STRING, Type

LONGEST_PATTERN = 200
LONGEST_MATCHED = 10_000
SHOWN = 12  # words of a closed set in a message


def _text_base(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    assert tree.base is not None
    base = compiler.single(tree.base, names)
    if base.type.kind != "string":
        raise compiler.fault(
            "E205", tree, f"{tree.name}() needs a text, and {spell(tree.base)} is {a(base.type)}"
        )
    return base


def _text(compiler: ExpressionCompiler, argument: Expression, names: Names) -> Compiled:
    made = compiler.single(argument, names)
    if made.type.kind != "string":
        raise compiler.fault("E205", argument, f"a text is needed here, and this is {a(made.type)}")
    return made


def _texts(apply: Callable[..., Any], kind: Type) -> Make:
    """Make a function of a text and text arguments; nothing where any of them is nothing."""

    def make(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
        base = _text_base(compiler, tree, names)
        arguments = [_text(compiler, argument, names) for argument in tree.arguments]
        asked = [made.constant for made in arguments]
        words = words_of(base.type, compiler.world)
        if (
            kind is BOOLEAN
            and words
            and None not in asked
            and not any(apply(w, *asked) for w in words)
        ):
            message = f"{spell(tree)} is never true of {', '.join(words[:SHOWN])}"
            raise compiler.fault("E205", tree, message)
        runs = [made.run for made in (base, *arguments)]

        def run(frame: Frame) -> Any:
            values = [one(frame) for one in runs]
            if None in values:
                return [] if kind.many else None
            return apply(*values)

        return Compiled(run=run, type=kind)

    return make


def _matches(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    base, pattern = _text_base(compiler, tree, names), compiler.compile(tree.arguments[0], names)
    if not isinstance(pattern.constant, str) or len(pattern.constant) > LONGEST_PATTERN:
        message = f"matches() takes a text in quotes of at most {LONGEST_PATTERN} characters"
        raise compiler.fault("E203", tree.arguments[0], message)
    try:
        expression = re.compile(pattern.constant)
    except re.error as error:
        raise compiler.fault("E203", tree.arguments[0], f"not a pattern: {error.msg}") from None
    run = base.run

    def matched(frame: Frame) -> bool | None:
        text = run(frame)
        return None if text is None else bool(expression.search(text[:LONGEST_MATCHED]))

    return Compiled(run=matched, type=BOOLEAN)


def _substring(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    base = _text_base(compiler, tree, names).run
    numbers = [compiler.single(argument, names) for argument in tree.arguments]
    for made, argument in zip(numbers, tree.arguments, strict=True):
        if made.type.kind != "integer":
            raise compiler.fault(
                "E205", argument, f"a whole number is needed, and this is {a(made.type)}"
            )
    runs = [made.run for made in numbers]

    def run(frame: Frame) -> str | None:
        text, at = base(frame), [one(frame) for one in runs]
        if text is None or at[0] is None or not 0 <= at[0] < len(text):
            return None
        end = at[0] + at[1] if len(at) > 1 and at[1] is not None else len(text)
        return str(text[at[0] : end])

    return Compiled(run=run, type=STRING)


def _join(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    assert tree.base is not None
    base = compiler.compile(tree.base, names)
    if base.type.kind != "string":
        raise compiler.fault("E205", tree, f"join() needs texts, and this is {a(base.type)}")
    rows = as_list(base)
    between: Run = _text(compiler, tree.arguments[0], names).run if tree.arguments else lambda _: ""

    def run(frame: Frame) -> str | None:
        found = rows(frame)
        return (between(frame) or "").join(found) if found else None

    return Compiled(run=run, type=STRING)


TABLE: dict[str, Function] = {
    "startsWith": Function(make=_texts(str.startswith, BOOLEAN), least=1, most=1),
    "contains": Function(make=_texts(lambda text, part: part in text, BOOLEAN), least=1, most=1),
    "matches": Function(make=_matches, least=1, most=1),
    "replace": Function(make=_texts(str.replace, STRING), least=2, most=2),
    "substring": Function(make=_substring, least=1, most=2),
    "lower": Function(make=_texts(str.lower, STRING), least=0, most=0),
    "upper": Function(make=_texts(str.upper, STRING), least=0, most=0),
    "trim": Function(make=_texts(str.strip, STRING), least=0, most=0),
    "split": Function(
        make=_texts(lambda text, by: text.split(by) if by else [text], STRING.list()),
        least=1,
        most=1,
    ),
    "join": Function(make=_join, least=0, most=1),
}
