"""Tokens to a tree (Pratt parser), with FHIRPath's precedence.

What names and types mean is the compiler's affair.
"""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from fhirbridge.translate.expressions.tokenizer import ExpressionError, Kind, Token, tokenize

MAX_DEPTH = 50


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | Decimal | bool
    at: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name of the context: a field of the record, a row, a let."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Dollar:
    """A `$this`, a `$run` or a parameter of a fragment; the name without its dollar."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Member:
    base: "Expression"
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Index:
    base: "Expression"
    number: int
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    base: "Expression | None"
    name: str
    arguments: tuple["Expression", ...]
    at: int


@dataclass(frozen=True, slots=True)
class Minus:
    operand: "Expression"
    at: int


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time, `30 'minutes'`: only to be added to a time, or taken from it."""

    length: timedelta
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    sign: str
    left: "Expression"
    right: "Expression"
    at: int


Expression = Literal | Name | Dollar | Member | Index | Call | Minus | Span | Binary

_POWERS = {
    "implies": 10, "or": 20, "xor": 20, "and": 30, "in": 40, "=": 50, "!=": 50,
    "<": 60, ">": 60, "<=": 60, ">=": 60, "|": 70, "+": 80, "-": 80, "&": 80,
    "*": 90, "/": 90, "div": 90, "mod": 90,
}  # fmt: skip
_UNARY_POWER = 100
_SPANS = ("seconds", "minutes", "hours", "days")
_LONGEST_SPAN = 6  # digits
_WORDS = {"implies", "or", "xor", "and", "in", "div", "mod"}


def parse(text: str) -> Expression:
    """Parse one whole expression. Raises ExpressionError with the offset of the mistake."""
    parser = _Parser(tokenize(text))
    tree = parser.expression(0)
    parser.expect_end()
    return tree


def split_as(text: str) -> tuple[str, str]:
    """Split `vitals as v` in path and name. Raises ExpressionError."""
    path, word, name = text.rpartition(" as ")
    if not word or not name.strip().isidentifier():
        raise ExpressionError("must be like 'vitals as v'", 0)
    return path, name.strip()


class _Parser:
    """One pass over the tokens; `depth` keeps a hostile expression from exhausting the stack."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def expression(self, power: int) -> Expression:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(f"nested deeper than {MAX_DEPTH}", self._peek().at)
        left = self._postfix(self._prefix())
        while (token := self._operator()) and _POWERS[token.text] > power:
            self._take()
            left = Binary(token.text, left, self.expression(_POWERS[token.text]), token.at)
        self._depth -= 1
        return left

    def expect_end(self) -> None:
        token = self._peek()
        if token.kind is not Kind.END:
            raise ExpressionError(f"'{token.text}' is not expected here", token.at)

    def _prefix(self) -> Expression:
        token = self._take()
        if token.kind is Kind.NUMBER and self._peek().kind is Kind.TEXT:
            return self._span(token, self._take())
        if token.kind is Kind.NUMBER:
            return Literal(Decimal(token.text) if "." in token.text else int(token.text), token.at)
        if token.kind is Kind.TEXT:
            return Literal(token.text, token.at)
        if token.kind is Kind.DOLLAR:
            return Dollar(token.text[1:], token.at)
        if token.kind is Kind.NAME:
            return self._word(token)
        return self._signed(token)

    def _span(self, number: Token, unit: Token) -> Expression:
        if unit.text not in _SPANS:
            raise ExpressionError(f"after a number stands one of {', '.join(_SPANS)}", unit.at)
        if not number.text.isdecimal() or len(number.text) > _LONGEST_SPAN:
            raise ExpressionError("a length of time is a whole number", number.at)
        return Span(timedelta(**{unit.text: int(number.text)}), number.at)

    def _word(self, token: Token) -> Expression:
        if token.text in ("true", "false"):
            return Literal(token.text == "true", token.at)
        if self._peek().text == "(" and self._peek().kind is Kind.SIGN:
            return Call(None, token.text, self._arguments(), token.at)
        if token.text in _WORDS:
            raise ExpressionError(f"'{token.text}' needs something before it", token.at)
        return Name(token.text, token.at)

    def _signed(self, token: Token) -> Expression:
        if token.kind is Kind.SIGN and token.text == "(":
            inner = self.expression(0)
            self._expect(")")
            return inner
        if token.kind is Kind.SIGN and token.text == "-":
            return Minus(self.expression(_UNARY_POWER), token.at)
        found = (
            f"'{token.text}' is not expected here"
            if token.text
            else "something is missing at the end"
        )
        raise ExpressionError(found, token.at)

    def _postfix(self, left: Expression) -> Expression:
        while self._peek().kind is Kind.SIGN and self._peek().text in (".", "["):
            sign = self._take()
            left = self._member(left) if sign.text == "." else self._index(left)
        return left

    def _member(self, base: Expression) -> Expression:
        token = self._take()
        if token.kind is not Kind.NAME:
            raise ExpressionError("a name must follow the dot", token.at)
        if self._peek().kind is Kind.SIGN and self._peek().text == "(":
            return Call(base, token.text, self._arguments(), token.at)
        return Member(base, token.text, token.at)

    def _index(self, base: Expression) -> Expression:
        token = self._take()
        if token.kind is not Kind.NUMBER or "." in token.text:
            raise ExpressionError("a whole number must stand in [ ]", token.at)
        self._expect("]")
        return Index(base, int(token.text), token.at)

    def _arguments(self) -> tuple[Expression, ...]:
        self._expect("(")
        found: list[Expression] = []
        while self._peek().text != ")" or self._peek().kind is not Kind.SIGN:
            if found:
                self._expect(",")
            found.append(self.expression(0))
        self._expect(")")
        return tuple(found)

    def _operator(self) -> Token | None:
        token = self._peek()
        is_operator = token.kind in (Kind.SIGN, Kind.NAME) and token.text in _POWERS
        return token if is_operator else None

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind is not Kind.END:
            self._next += 1
        return token

    def _expect(self, sign: str) -> None:
        token = self._take()
        if token.kind is not Kind.SIGN or token.text != sign:
            raise ExpressionError(f"'{sign}' is missing", token.at)
