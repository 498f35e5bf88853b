"""In which unit a number is, where a mapping says it: a dose in a wrong one is a wrong dose.

A number gets its unit by `iif(m.unit = 'mg', m.value)` or by convert(), and keeps it through `let`,
`iif`, `coalesce` and a product (mg/kg times kg). What is not known is not judged.
"""

from collections.abc import Iterable

from fhirbridge.translate.expressions.compiled import ExpressionCompiler, Names
from fhirbridge.translate.expressions.narrowing import path_of
from fhirbridge.translate.expressions.parser import Expression, Member
from fhirbridge.translate.source_types import Type

CODE = "E301"


def of_value(tree: Expression, names: Names) -> str:
    """Return the unit of `m.value`, where a condition leaves only one for `m.unit`."""
    if not isinstance(tree, Member) or tree.name != "value":
        return ""
    fact = names.facts.get(f"{path_of(tree.base)}.unit")
    only = fact.only if fact else None
    return next(iter(only)) if only and len(only) == 1 else ""


def of_product(left: Type, right: Type) -> str:
    """Return `mg` for mg/kg times kg, either way round."""
    for per, by in ((left.unit, right.unit), (right.unit, left.unit)):
        if by and per.endswith(f"/{by}"):
            return per.removesuffix(f"/{by}")
    return ""


def shared(compiler: ExpressionCompiler, tree: Expression, types: Iterable[Type]) -> str:
    """Return the unit of several branches. Raises FaultError where two are in different ones."""
    units = list(dict.fromkeys(kind.unit for kind in types))
    known = [unit for unit in units if unit]
    if len(known) > 1:
        message = f"the branches are in '{known[0]}' and in '{known[1]}'; convert() one of them"
        raise compiler.fault(CODE, tree, message)
    return units[0] if len(units) == 1 else ""


def check(compiler: ExpressionCompiler, tree: Expression, number: Type, said: object) -> None:
    """Raise FaultError where a number that is in one unit is said to be in another."""
    if number.unit and isinstance(said, str) and said != number.unit:
        raise compiler.fault(CODE, tree, f"this number is in '{number.unit}', not in '{said}'")
