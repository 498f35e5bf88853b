"""Reads the words of JSON Schema 2020-12 that the record's schema uses; any other word fails."""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,),
    "integer": (int,), "number": (int, Decimal),
}  # fmt: skip
SILENT = {"$schema", "title", "format", "else", "additionalProperties"}


def mistakes(value: Any, schema: dict[str, Any], at: str = "") -> Iterator[str]:
    """Say what the schema refuses."""
    for word in schema:
        if word not in SILENT:
            yield from WORDS[word](value, schema, at)


def _type(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    is_truth = isinstance(value, bool) and schema["type"] != "boolean"
    if is_truth or not isinstance(value, TYPES[schema["type"]]):
        yield f"{at} is no {schema['type']}"


def _properties(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    for name, below in value.items() if isinstance(value, dict) else ():
        if name in schema["properties"]:
            yield from mistakes(below, schema["properties"][name], f"{at}/{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{at}/{name} is not known"


def _required(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{at}/{one} is missing" for one in schema["required"] if one not in value)


def _items(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    for number, below in enumerate(value if isinstance(value, list) else ()):
        yield from mistakes(below, schema["items"], f"{at}/{number}")


def _one_of(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if sum(not list(mistakes(value, one, at)) for one in schema["oneOf"]) != 1:
        yield f"{at} is not exactly one of its ways"


def _if(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    if list(mistakes(value, schema["if"], at)):
        yield from mistakes(value, schema["else"], at)


def _plain(refuses: Callable[[Any, Any], bool], word: str) -> Callable[..., Iterator[str]]:
    def check(value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
        if refuses(value, schema[word]):
            yield f"{at} breaks {word}"

    return check


WORDS: dict[str, Callable[[Any, dict[str, Any], str], Iterator[str]]] = {
    "type": _type,
    "properties": _properties,
    "required": _required,
    "items": _items,
    "oneOf": _one_of,
    "if": _if,
    "enum": _plain(lambda value, known: value not in known, "enum"),
    "const": _plain(lambda value, wanted: value != wanted, "const"),
    "minLength": _plain(lambda value, least: len(value) < least, "minLength"),
    "minimum": _plain(lambda value, least: value < least, "minimum"),
    "pattern": _plain(lambda value, form: not re.search(form, value), "pattern"),
}
