"""FHIRPath's functions of numbers, and from one simple type to another."""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from fractions import Fraction
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.translate.expressions import number_units
from fhirbridge.translate.expressions.compiled import (
    Compiled,
    ExpressionCompiler,
    Function,
    Make,
    Names,
    spell,
)
from fhirbridge.translate.expressions.operators import EXACT
from fhirbridge.translate.expressions.parser import Call
from fhirbridge.translate.faults import a
from fhirbridge.translate.frame import Frame, RefusedError
from fhirbridge.translate.source_types import (
    DATE,
    DATES,
    DECIMAL,
    INTEGER,
    NUMBERS,
    STRING,
    Type,
)
from fhirbridge.translate.tables.unit_table import is_finite

_DAY = 10
MOST_PLACES = 20


def _convert(kinds: tuple[str, ...], apply: Callable[[Any], Any], kind: Type) -> Make:
    """Make a function of one value of the given kinds."""

    def make(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
        assert tree.base is not None
        base = compiler.single(tree.base, names)
        if base.type.kind not in kinds:
            wanted = ", ".join(kinds)
            message = f"{tree.name}() takes {wanted}, and {spell(tree.base)} is {a(base.type)}"
            raise compiler.fault("E205", tree, message)
        run = base.run

        def converted(frame: Frame) -> Any:
            value = run(frame)
            return None if value is None else apply(value)

        return Compiled(run=converted, type=kind)

    return make


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return codec.plain(value) if isinstance(value, Decimal) else str(value)


def _whole(value: Any) -> int | None:
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise RefusedError("E407", "toInteger() found a number with decimals")
        return int(value)
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?\d{1,40}", value) else None
    return int(value)


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(value) if re.fullmatch(r"[+-]?\d+(\.\d+)?", str(value)) else None
    except InvalidOperation:
        return None


def _round(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    assert tree.base is not None
    places = compiler.compile(tree.arguments[0], names).constant if tree.arguments else 0
    if not isinstance(places, int) or isinstance(places, bool) or not 0 <= places <= MOST_PLACES:
        raise compiler.fault("E203", tree, "round() takes a whole number from 0 to 20")
    step = Decimal(1).scaleb(-places)

    def rounded(value: Any) -> Decimal:
        with localcontext(EXACT):
            return Decimal(value).quantize(step, rounding=ROUND_HALF_UP)

    return _convert((*NUMBERS, "quotient"), rounded, DECIMAL)(compiler, tree, names)


def _abs(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    assert tree.base is not None
    kind = compiler.number(tree.base, names).type
    return _convert(NUMBERS, _positive, kind)(compiler, tree, names)


def _positive(value: Any) -> Any:
    """Drop the sign; abs() would round a Decimal to the thread's context."""
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


def _convert_unit(compiler: ExpressionCompiler, tree: Call, names: Names) -> Compiled:
    """Compile `convert(number, 'lb', 'kg')`; what may have no end as a decimal needs round(n)."""
    number = compiler.number(tree.arguments[0], names)
    given, wanted = _two_units(compiler, tree, names)
    number_units.check(compiler, tree.arguments[1], number.type, given)
    times, plus = _scale(compiler, tree, given, wanted)
    run = number.run

    def converted(frame: Frame) -> Decimal | None:
        value = run(frame)
        if value is None:
            return None
        made = Fraction(value) * times + plus
        with localcontext(EXACT):
            return Decimal(made.numerator) / Decimal(made.denominator)

    finite = is_finite(times) and is_finite(plus)
    return Compiled(run=converted, type=Type(kind="decimal" if finite else "quotient", unit=wanted))


def _two_units(compiler: ExpressionCompiler, tree: Call, names: Names) -> list[str]:
    units = []
    for argument in tree.arguments[1:]:
        unit = compiler.compile(argument, names).constant
        if not isinstance(unit, str):
            raise compiler.fault("E203", argument, "convert() takes two units in quotes")
        compiler.world.units.check(unit, compiler.place_of(argument))
        units.append(unit)
    return units


def _scale(
    compiler: ExpressionCompiler, tree: Call, given: str, wanted: str
) -> tuple[Fraction, Fraction]:
    try:
        return compiler.world.units.scale(given, wanted)
    except RefusedError as error:
        raise compiler.fault("E301", tree.arguments[2], error.message) from None


BARE: dict[str, Function] = {"convert": Function(make=_convert_unit, least=3, most=3)}
TABLE: dict[str, Function] = {
    "toString": Function(
        make=_convert(("string", "boolean", *NUMBERS, *DATES), _written, STRING), least=0, most=0
    ),
    "toInteger": Function(
        make=_convert(("string", "boolean", *NUMBERS), _whole, INTEGER), least=0, most=0
    ),
    "toDecimal": Function(make=_convert(("string", *NUMBERS), _decimal, DECIMAL), least=0, most=0),
    "toDate": Function(
        make=_convert(("date", "dateTime"), lambda text: text[:_DAY], DATE), least=0, most=0
    ),
    "round": Function(make=_round, least=0, most=1),
    "abs": Function(make=_abs, least=0, most=0),
}
