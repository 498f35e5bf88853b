"""The record as a tree of typed fields: what the mapping compiler and the rules walk along."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Json = Any  # a decoded JSON value; numbers are int or Decimal

Kind = Literal[
    "object", "list", "string", "integer", "decimal", "boolean", "date", "dateTime", "partialDate"
]


def _no_fields() -> Mapping[str, "SourceField"]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceField:
    """One field of the record, or the record itself.

    `fields` is filled for an object and `item` for a list. `values` is a closed set of words.
    `table` names the vocabulary table whose keys `key` takes (on a coded object), or whose words
    the text takes (on a string). `refers` lists the parts ("staff", "plan.phases"; "*" is any)
    whose row ids the text takes, `dimensions` the kinds of unit that a measure takes.
    """

    kind: Kind
    required: bool = False
    fields: Mapping[str, "SourceField"] = field(default_factory=_no_fields)
    item: "SourceField | None" = None
    values: tuple[str, ...] = ()
    table: str = ""
    refers: tuple[str, ...] = ()
    dimensions: tuple[str, ...] = ()
