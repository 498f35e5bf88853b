"""JSON that loses nothing: decimals keep their digits, duplicate keys and NaN are refused."""

import hashlib
import json
import re
from decimal import Decimal
from http import HTTPStatus
from json.encoder import encode_basestring as _quoted
from typing import Any

from fhirbridge.errors import BridgeError

FHIR_JSON = "application/fhir+json"
MAX_DEPTH = 64
MAX_NUMBER_DIGITS = 40
MAX_EXPONENT_TEXT = 4  # with its sign; a longer one is out of every range
# All up to the next bracket outside strings, or to the end. Possessive, and a string may lack its
# end: each character is looked at once, whatever was sent.
UP_TO_BRACKET = re.compile(
    r'(?:[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+(?:"|\\?\Z))*+([\[\]{}]|\Z)', re.DOTALL
)
BAD_TEXT = re.compile("[\x00\ud800-\udfff]")


class NotJsonError(BridgeError):
    """The bytes are not strict JSON."""

    code = "E101"
    http_status = HTTPStatus.BAD_REQUEST


def decode(raw: bytes) -> Any:
    """Read strict JSON: UTF-8, no duplicate key, no NaN, numbers as Decimal or int, sanely long.

    Raises NotJsonError with the place of the fault; never with the text that was there.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotJsonError(
            f"not UTF-8 at byte {error.start}", hint="send JSON encoded as UTF-8"
        ) from None
    if text.startswith("\ufeff"):
        raise NotJsonError("starts with a byte order mark", hint="send UTF-8 without a BOM")
    _refuse_depth(text)
    try:
        value = json.loads(
            text,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise NotJsonError(
            f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}",
            hint="check the document with a JSON validator",
        ) from None
    except RecursionError:
        raise NotJsonError(f"nested deeper than {MAX_DEPTH}") from None
    if "\\u" in text:  # neither can stand in UTF-8 and JSON but by its number
        _refuse_bad_text(value)
    return value


def decode_own(raw: bytes) -> Any:
    """Read what `encode` wrote and nobody else could have changed: it was judged when it came."""
    return json.loads(raw, parse_float=Decimal)


def encode(value: Any) -> bytes:
    """Write compact JSON; a Decimal keeps its digits (`72.50`), never an exponent."""
    return _write(value).encode("utf-8")


def canonical(value: Any) -> bytes:
    """Write JSON with sorted keys: equal content gives equal bytes."""
    return _write(value, sort=True).encode("utf-8")


def content_hash(value: Any) -> str:
    """Return the SHA-256 of the canonical form, as 64 hex digits; `0.10` and `0.1` differ."""
    return hashlib.sha256(canonical(value)).hexdigest()


def plain(number: Decimal) -> str:
    """Write a Decimal without an exponent: 1E+2 is `100`."""
    return format(number, "f")


def _write(value: Any, *, sort: bool = False) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, dict):
        items = sorted(value.items()) if sort else value.items()
        return (
            "{" + ",".join([f"{_text(key)}:{_write(item, sort=sort)}" for key, item in items]) + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ",".join([_write(item, sort=sort) for item in value]) + "]"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        raise TypeError("a float reached the codec; clinical numbers are Decimal")
    return _text(value)


def _text(value: Any) -> str:
    # Most of what is written is text; json.dumps would set up an encoder for each.
    return _quoted(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _number(digits: str) -> Decimal:
    """Read a number with fraction or exponent; what comes out can be written and read again."""
    exponent = re.split("[eE]", digits)[-1] if "e" in digits.lower() else "0"
    # Judged as text: Decimal refuses an exponent of twenty digits, and writes out one of six.
    if len(digits) > MAX_NUMBER_DIGITS or len(exponent) > MAX_EXPONENT_TEXT:
        raise _too_long()
    number = Decimal(digits)
    if len(plain(number)) > MAX_NUMBER_DIGITS:
        raise _too_long()
    return number


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_DIGITS:
        raise _too_long()
    return int(digits)


def _too_long() -> NotJsonError:
    return NotJsonError(
        f"a number is longer than {MAX_NUMBER_DIGITS} digits",
        hint="send the number as it was measured",
    )


def _refuse_constant(name: str) -> None:
    raise NotJsonError(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                # Only what looks like a field name is repeated: a sender's key may hold anything.
                name = f"'{key}' " if re.fullmatch(r"[a-z][A-Za-z0-9_]{0,40}", key) else ""
                raise NotJsonError(f"an object has the key {name}twice")
            seen.add(key)
    return result


def _refuse_depth(text: str) -> None:
    """Count brackets outside strings before the parser recurses into them."""
    depth = 0
    for bracket in UP_TO_BRACKET.findall(text):
        if bracket in ("[", "{"):
            depth += 1
            if depth > MAX_DEPTH:
                raise NotJsonError(
                    f"nested deeper than {MAX_DEPTH}", hint="session records are a few levels deep"
                )
        elif bracket:
            depth -= 1


def _refuse_bad_text(value: Any) -> None:
    """Refuse U+0000 and lone surrogates: FHIR, SQLite and UTF-8 writers choke on them later."""
    if isinstance(value, str):
        if BAD_TEXT.search(value):
            raise NotJsonError("a text holds U+0000 or half a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_bad_text(key)
            _refuse_bad_text(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_bad_text(item)
