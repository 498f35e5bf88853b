import pytest

from fhirbridge.translate.expressions.parser import (
    Binary,
    Call,
    Dollar,
    Expression,
    Index,
    Literal,
    Member,
    Minus,
    Name,
    Span,
    parse,
    split_as,
)
from fhirbridge.translate.expressions.tokenizer import ExpressionError


def shown(tree: Expression) -> str:
    """The tree with every bracket written."""
    if isinstance(tree, Binary):
        return f"({shown(tree.left)} {tree.sign} {shown(tree.right)})"
    if isinstance(tree, Minus):
        return f"-({shown(tree.operand)})"
    if isinstance(tree, Call):
        base = f"{shown(tree.base)}." if tree.base else ""
        return f"{base}{tree.name}({', '.join(map(shown, tree.arguments))})"
    return shown_path(tree)


def shown_path(tree: Literal | Span | Name | Dollar | Member | Index) -> str:
    match tree:
        case Span():
            return str(tree.length)
        case Literal():
            return repr(tree.value)
        case Name():
            return tree.name
        case Dollar():
            return f"${tree.name}"
        case Member():
            return f"{shown(tree.base)}.{tree.name}"
        case Index():
            return f"{shown(tree.base)}[{tree.number}]"


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a.b.c", "a.b.c"),
        ("a.b[2].c", "a.b[2].c"),
        ("$run.site", "$run.site"),
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("-a.b + 1", "(-(a.b) + 1)"),
        ("-1 * 2", "(-(1) * 2)"),
        ("a & b = c", "((a & b) = c)"),
        ("a | b = c", "((a | b) = c)"),
        ("a < b = c", "((a < b) = c)"),
        ("a = b in c", "((a = b) in c)"),
        ("a in b and c", "((a in b) and c)"),
        ("a and b or c and d", "((a and b) or (c and d))"),
        ("a or b xor c", "((a or b) xor c)"),
        ("a implies b or c", "(a implies (b or c))"),
        ("7 div 2 mod 3", "((7 div 2) mod 3)"),
        ("a.where(b = 'x').c", "a.where((b = 'x')).c"),
        ("iif(a, 1.50, 2)", "iif(a, Decimal('1.50'), 2)"),
        ("not(a)", "not(a)"),
        ("a.not()", "a.not()"),
        ("a.and.div", "a.and.div"),
        ("true or false", "(True or False)"),
        ("'a' in $value", "('a' in $value)"),
    ],
)
def test_signs_bind_as_in_fhirpath(text: str, tree: str) -> None:
    assert shown(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("", 0, "something is missing at the end"),
        ("a =", 3, "something is missing at the end"),
        ("a b", 2, "'b' is not expected here"),
        ("a.", 2, "a name must follow the dot"),
        ("a.1", 2, "a name must follow the dot"),
        ("a[b]", 2, "a whole number must stand in [ ]"),
        ("a[1", 3, "']' is missing"),
        ("(a", 2, "')' is missing"),
        ("f(a b)", 4, "',' is missing"),
        ("f(a", 3, "',' is missing"),
        ("and a", 0, "'and' needs something before it"),
        ("= a", 0, "'=' is not expected here"),
        ("(" * 60 + "a" + ")" * 60, 50, "nested deeper than 50"),
    ],
)
def test_a_misspelling_is_named_at_its_offset(text: str, at: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)

    assert (caught.value.at, caught.value.message) == (at, message)


def test_rows_are_given_a_name_with_as() -> None:
    assert split_as("a.rates as r") == ("a.rates", "r")


@pytest.mark.parametrize("text", ["vitals", "vitals as", "vitals as 1", "vitals as a.b", "as v"])
def test_rows_without_a_name_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        split_as(text)
