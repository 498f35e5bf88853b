"""The field types of a record: exact and strict, each refusing with a code and a plain sentence.

Every refusal starts with its code ("R102 …"); `structure` turns it into a finding. No refusal
repeats the value that was sent; the nearest known word is added there.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from marshmallow import ValidationError, fields

from fhirbridge.records import vocabulary
from fhirbridge.records.source import Json, Kind

T = TypeVar("T")

TEXT_LIMIT = 10_000
WORD_LIMIT = 128
# Enough for any reading or dose; a longer number is a float that was printed, or an attack.
DIGIT_LIMIT = 18
INTEGER_LIMIT = 2**31

REQUIRED = "R101 is required"
# The type is marshmallow's.
MESSAGES: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": REQUIRED,
    "null": "R103 is null; leave the field out instead",
    "type": "R102 must be an object in braces",
    "invalid": "R102 must be a list in brackets",
}

# R4 string: no character below U+0020 but tab, CR and LF.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MOMENT = re.compile(
    r"(19|2[01])\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00)?",
    re.ASCII,
)
_PARTIAL = re.compile(r"(18|19|2[01])\d\d(-\d\d(-\d\d)?)?", re.ASCII)
_YEAR, _MONTH, _DAY = len("2026"), len("2026-03"), len("2026-03-02")


class RefusedError(ValidationError):
    """What a field says of a value that it does not take."""

    def __init__(self, *, code: str, says: str) -> None:
        """Join code and words, as all messages of this schema are."""
        super().__init__([f"{code} {says}"])


class RecordField(fields.Field[T]):
    """What all fields share: the kind that mappings see, and refusals with codes."""

    kind: ClassVar[Kind] = "string"
    default_error_messages = MESSAGES

    def read(self, value: object) -> T:
        """Return the value as this type; raise RefusedError."""
        raise NotImplementedError

    def _deserialize(
        self,
        value: Json,
        attr: str | None,  # noqa: ARG002, marshmallow's signature
        data: Mapping[str, Any] | None,  # noqa: ARG002, marshmallow's signature
        **kwargs: Json,  # noqa: ARG002, marshmallow's signature
    ) -> T:
        return self.read(value)


class Text(RecordField[str]):
    """Text that FHIR can carry: not empty, no control characters, within `limit` characters."""

    limit: ClassVar[int] = TEXT_LIMIT

    def read(self, value: object) -> str:
        """Return the text."""
        if not isinstance(value, str):
            raise RefusedError(code="R102", says="must be text in quotes")
        if not value.strip():
            raise RefusedError(code="R104", says="is empty; leave the field out instead")
        if len(value) > self.limit:
            raise RefusedError(code="R104", says=f"is longer than {self.limit} characters")
        if _CONTROL.search(value):
            raise RefusedError(code="R104", says="holds a control character")
        return value


class Word(Text):
    """A short text on one line: a name, an id, a lot."""

    limit = WORD_LIMIT

    def read(self, value: object) -> str:
        """Return the word."""
        text = super().read(value)
        if text != text.strip() or any(sign in text for sign in "\r\n\t"):
            raise RefusedError(code="R104", says="has spaces at an end or a line break")
        return text


class RowRef(Word):
    """The id of a row in one of the named parts; "*" is any row of the record."""

    def __init__(self, *parts: str, **options: Json) -> None:
        """Take the parts that the id may name a row of."""
        super().__init__(**options)
        self.parts = parts


class Choice(Word):
    """A word of a closed set."""

    table = ""

    def __init__(self, *values: str, **options: Json) -> None:
        """Take the words."""
        super().__init__(**options)
        self.values = values

    def read(self, value: object) -> str:
        """Return the word."""
        text = super().read(value)
        if text not in self.values:
            raise RefusedError(code="R106", says="is not one of the known words")
        return text


class TableWord(Choice):
    """A word of a closed set that stands in the vocabulary."""

    def __init__(self, table: str, **options: Json) -> None:
        """Take the name of the table."""
        super().__init__(*vocabulary.keys(table), **options)
        self.table = table


class TableKey(Word):
    """The key of a coded field; what has no key is sent as text or with its own code."""

    def __init__(self, table: str, **options: Json) -> None:
        """Take the name of the table."""
        super().__init__(**options)
        self.table = table

    def read(self, value: object) -> str:
        """Return the key."""
        text = super().read(value)
        if text not in vocabulary.keys(self.table):
            raise RefusedError(code="R107", says=f"is not a key of the {self.table} table")
        return text


class Number(RecordField[Decimal]):
    """An exact number: a JSON number without quotes, at most 18 digits."""

    kind = "decimal"

    def read(self, value: object) -> Decimal:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise RefusedError(code="R102", says="must be a number without quotes")
        number = Decimal(value)
        if sum(sign.isdigit() for sign in format(number, "f")) > DIGIT_LIMIT:
            raise RefusedError(code="R104", says=f"has more than {DIGIT_LIMIT} digits")
        return number


class Whole(RecordField[int]):
    """A whole number from `least` up."""

    kind = "integer"

    def __init__(self, *, least: int = 0, **options: Json) -> None:
        """Take the least number allowed."""
        super().__init__(**options)
        self.least = least

    def read(self, value: object) -> int:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise RefusedError(
                code="R102", says="must be a whole number without quotes or decimals"
            )
        if not self.least <= value < INTEGER_LIMIT:
            raise RefusedError(code="R104", says=f"must be a whole number from {self.least} up")
        return value


class Flag(RecordField[bool]):
    """Either true or false."""

    kind = "boolean"

    def read(self, value: object) -> bool:
        """Return it."""
        if not isinstance(value, bool):
            raise RefusedError(code="R102", says="must be true or false without quotes")
        return value


class Moment(RecordField[str]):
    """A date and time to the second; where it has no offset, `moments` applies the zone."""

    kind = "dateTime"

    def read(self, value: object) -> str:
        """Return the text as it came."""
        if not isinstance(value, str):
            raise RefusedError(code="R102", says="must be a date and time in quotes")
        # fullmatch first: fromisoformat also reads forms that FHIR does not know.
        if not _MOMENT.fullmatch(value) or not _reads(datetime.fromisoformat, value):
            raise RefusedError(
                code="R110", says="is not a date and time like 2026-03-02T09:30:00-05:00"
            )
        return value


class PartialDate(RecordField[str]):
    """A year, a month or a day, as far as it is known."""

    kind = "partialDate"

    def read(self, value: object) -> str:
        """Return the text as it came."""
        if not isinstance(value, str):
            raise RefusedError(code="R102", says="must be a date in quotes")
        if not _PARTIAL.fullmatch(value) or not _reads(date.fromisoformat, _padded(value)):
            raise RefusedError(code="R110", says="is not a date like 2019, 2019-04 or 2019-04-30")
        return value


class Day(RecordField[str]):
    """A whole date."""

    kind = "date"

    def read(self, value: object) -> str:
        """Return the text as it came."""
        if not isinstance(value, str):
            raise RefusedError(code="R102", says="must be a date in quotes")
        whole = _PARTIAL.fullmatch(value) and len(value) == _DAY
        if not whole or not _reads(date.fromisoformat, value):
            raise RefusedError(code="R110", says="is not a date like 2026-03-02")
        return value


class Zone(Word):
    """The name of an IANA time zone."""

    def read(self, value: object) -> str:
        """Return the name."""
        text = super().read(value)
        try:
            ZoneInfo(text)
        # The zone database is files: an odd name can meet any of these.
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise RefusedError(
                code="R111", says="is not an IANA time zone like America/New_York"
            ) from None
        return text


def _padded(value: str) -> str:
    return value + "-01-01"[len(value) - _YEAR :] if len(value) <= _MONTH else value


def _reads(read: Callable[[str], object], value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True
