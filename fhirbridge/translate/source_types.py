"""The types of expressions: what the record's schema says of a path, and what functions give."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from fhirbridge.records import vocabulary
from fhirbridge.records.source import SourceField

NUMBERS = ("integer", "decimal")
DATES = ("date", "dateTime", "partialDate")
KEY_KINDS = ("string", "boolean", *NUMBERS, *DATES)  # of what the key of a resource is made


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """A kind of the record (string, decimal, object …) or of FHIR (Quantity, Reference …); many.

    A list of it.
    """

    kind: str
    many: bool = False
    field: SourceField | None = None  # of an object: its fields
    values: tuple[str, ...] = ()  # a closed set of texts, where it is known
    table: str = ""  # whose keys the text is, or the coded object takes
    paths: tuple[str, ...] = ()  # where in the record it may come from, lists without index
    refers: str = ""  # of a Reference: the type it points to
    codes: tuple[tuple[str, str], ...] = ()  # of a code: every (system, code) that may come
    unit: str = ""  # of a number: what it is in, where that is known
    words_too: bool = (
        False  # of a code: may also come as a system and code of the record, or as text
    )

    def one(self) -> "Type":
        return replace(self, many=False)

    def list(self) -> "Type":
        return replace(self, many=True)

    def __str__(self) -> str:
        return f"list of {self.kind}" if self.many else self.kind


NOTHING = Type(kind="nothing")
STRING = Type(kind="string")
INTEGER = Type(kind="integer")
DECIMAL = Type(kind="decimal")
BOOLEAN = Type(kind="boolean")
DATE = Type(kind="date")
DATE_TIME = Type(kind="dateTime")
QUANTITY = Type(kind="Quantity")
IDENTIFIER = Type(kind="Identifier")
WORDS = Type(kind="words")  # a text that becomes CodeableConcept.text
DOCUMENT = Type(kind="base64Binary")
XHTML = Type(kind="xhtml")


def type_of(field: SourceField) -> Type:
    """Return the type of a field of the record."""
    if field.kind == "list":
        if field.item is None:
            raise ValueError("a list of the record's schema has no item")
        return type_of(field.item).list()
    own = field if field.kind == "object" else None
    return Type(kind=field.kind, field=own, values=field.values, table=field.table)


def is_coded(kind: Type) -> bool:
    return kind.field is not None and {"system", "code", "text"} <= set(kind.field.fields)


def is_measure(kind: Type) -> bool:
    return kind.field is not None and {"value", "unit"} <= set(kind.field.fields)


def tables_of(source: SourceField) -> Mapping[str, tuple[str, ...]]:
    """Return the keys of each table that the record uses; a table that nobody knows has none."""
    found: dict[str, tuple[str, ...]] = {}
    for field in _walk(source):
        if field.table and not found.get(field.table):
            found[field.table] = field.values or _known_keys(field.table)
    return found


def _walk(field: SourceField) -> Iterator[SourceField]:
    yield field
    for inner in field.fields.values():
        yield from _walk(inner)
    if field.item is not None:
        yield from _walk(field.item)


def _known_keys(table: str) -> tuple[str, ...]:
    try:
        return vocabulary.keys(table)
    except KeyError:
        return ()
