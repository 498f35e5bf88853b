"""How values, expressions and directives are written in a mapping file."""

import re
from decimal import Decimal

from fhirbridge.translate.expressions.compiled import Compiled, Names, World, as_list
from fhirbridge.translate.expressions.compiler import compile_text
from fhirbridge.translate.expressions.parser import Call, Expression, Literal, split_as
from fhirbridge.translate.expressions.tokenizer import ExpressionError
from fhirbridge.translate.faults import FaultError, Place, one_letter_off
from fhirbridge.translate.source_types import Type
from fhirbridge.translate.tables.code_table import CODE
from fhirbridge.translate.yaml_tree import Fields, Node, Scalar, text_of

DIRECTIVES = ("$for", "$item", "$if", "$switch", "$when", "$then", "$else", "$use")


def expression_text(node: Node, *, sign: bool) -> tuple[str, Place]:
    """Return an expression and where it starts.

    In a value it starts after `=`, in a header it may.
    """
    text = text_of(node, "an expression", node.place, code="E201")
    place = node.place.moved(1 if isinstance(node, Scalar) and node.quoted else 0)
    if text.startswith("="):
        return text[1:], place.moved(1)
    if sign:
        raise FaultError("E201", node.place, "an expression starts with =")
    return text, place


def row_binding(node: Node, names: Names, world: World) -> tuple[Compiled, str, Type]:
    """Compile `vitals as v`; return the rows, the name and the type of a row."""
    text, place = expression_text(node, sign=False)
    try:
        path, name = split_as(text)
    except ExpressionError as error:
        raise FaultError("E201", place, error.message) from None
    refuse_taken(name, names, place)
    rows = compile_text(path, names, world=world, place=place)
    return Compiled(run=as_list(rows), type=rows.type.list()), name, rows.type.one()


def refuse_taken(name: str, names: Names, place: Place) -> None:
    """Refuse a name that is taken, or that one wrong letter would make of another."""
    fields = names.record.field.fields if names.record.field else {}
    if name in names.bound or name in fields:
        raise FaultError("E206", place, f"'{name}' is a name already; choose another")
    if near := one_letter_off(name, [*names.bound, *fields]):
        message = f"'{name}' is one letter from '{near}'; choose a name that no typo makes of it"
        raise FaultError("E206", place, message)


def is_directive(node: Fields) -> bool:
    return any(key in node.items for key in ("$for", "$item", "$switch", "$use"))


def is_expression(node: Scalar) -> bool:
    return node.text.startswith("=")


def is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and not node.quoted and node.text in ("", "null", "~")


def misshapen(node: Fields) -> FaultError:
    strange = [key for key in node.items if key not in (*DIRECTIVES, "with")]
    shown = f", not '{strange[0]}'" if strange else ""
    known = "{$for, $item}, {$switch} or {$use, with}, each with $if or not"
    message = f"a directive is {known}{shown}"
    return FaultError("E218", node.places[strange[0]] if strange else node.place, message)


def code_call(match: re.Match[str]) -> Expression:
    return Call(None, "code", (Literal(match.group(1), 0), Literal(match.group(2), 0)), 0)


def plain_argument(node: Scalar, world: World) -> Expression:
    """Read a parameter without `=`: a code of codes.yaml, a number, true or false, else a text."""
    match = CODE.fullmatch(node.text)
    if match and match.group(1) in world.codes.systems:
        world.codes.find(match.group(1), match.group(2), node.place)
        return code_call(match)
    if node.quoted:
        return Literal(node.text, 0)
    if node.text in ("true", "false"):
        return Literal(node.text == "true", 0)
    if re.fullmatch(r"\d+(\.\d+)?", node.text):
        return Literal(Decimal(node.text) if "." in node.text else int(node.text), 0)
    return Literal(node.text, 0)
