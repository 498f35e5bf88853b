"""Text of an expression to tokens, each with its offset."""

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_LENGTH = 2000


class Kind(StrEnum):
    NUMBER = "number"
    TEXT = "text"
    NAME = "name"
    DOLLAR = "dollar"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    kind: Kind
    text: str  # of a TEXT: what it means, not how it is written
    at: int


class ExpressionError(Exception):
    """The expression is misspelt; `at` is the offset of the mistake."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<number>\d+(?:\.\d+)?)
  | (?P<text>'(?:[^'\\]|\\.)*')
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<dollar>\$[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign><=|>=|!=|[-+*/&|=<>().,\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "f": "\f",
    "'": "'",
    '"': '"',
    "\\": "\\",
    "/": "/",
    "`": "`",
}


def tokenize(text: str) -> list[Token]:
    """Split an expression; the last token is END. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters; use let", 0)
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(_complaint(text[at]), at)
        if match.lastgroup != "space":
            tokens.append(_token(match))
        at = match.end()
    tokens.append(Token(kind=Kind.END, text="", at=len(text)))
    return tokens


def _complaint(char: str) -> str:
    if char == "'":
        return "a text has no closing quote"
    if char == '"':
        return "texts stand in single quotes"
    return f"'{char}' means nothing here"


def _token(match: re.Match[str]) -> Token:
    kind = Kind(str(match.lastgroup))
    text = match.group()
    if kind is Kind.TEXT:
        text = _ESCAPE.sub(lambda escape: _unescape(escape, match.start()), text[1:-1])
    return Token(kind=kind, text=text, at=match.start())


def _unescape(escape: re.Match[str], start: int) -> str:
    code = escape.group(1)
    if len(code) > 1:
        return chr(int(code[1:], 16))
    if code not in _ESCAPED:
        raise ExpressionError(f"a text has the unknown escape '\\{code}'", start)
    return _ESCAPED[code]
