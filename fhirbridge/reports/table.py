"""What a report is: tables of typed columns, over a period. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from fhirbridge.errors import BridgeError

Cell = str | int | Decimal | None  # None: nobody said it
Row = tuple[Cell, ...]
TEN = (2, 5)


class ReportError(BridgeError):
    """A report cannot be made as asked; nothing of it is there."""

    code = "E861"


class Kind(StrEnum):
    """What stands in a column."""

    TEXT = "text"
    NUMBER = "number"  # exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name for programs, its title for people, and what stands in it."""

    name: str
    title: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under columns. Raises ValueError where a row does not fit its columns."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Refuse a row that is too short, too long, or of another kind than its column."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {self.name} has {len(row)} cells")
            for cell, column in zip(row, self.columns, strict=True):
                of_kind = str if column.kind is Kind.TEXT else (int, Decimal)
                if cell is not None and not isinstance(cell, of_kind):
                    raise ValueError(f"{self.name}.{column.name} holds no {column.kind}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days from `since` to `until`, both within."""

    since: date
    until: date

    def __post_init__(self) -> None:
        """Refuse a period that ends before it begins. Raises ReportError."""
        if self.since > self.until:
            raise ReportError("--since is later than --until", hint="name the earlier day first")
        if self.until == date.max:
            raise ReportError("--until has no day after it", hint="name an earlier one")

    def has(self, day: date) -> bool:
        """Say whether a day lies within."""
        return self.since <= day <= self.until

    def moments(self) -> tuple[datetime, datetime]:
        """Return from when on, and before when, by UTC days."""
        first = datetime(self.since.year, self.since.month, self.since.day, tzinfo=UTC)
        last = datetime(self.until.year, self.until.month, self.until.day, tzinfo=UTC)
        return first, last + timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report. `difference` is what does not add up, and must be 0."""

    name: str
    title: str
    period: Period
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    difference: int = 0

    @property
    def count(self) -> int:
        """Return how many rows there are in all its tables."""
        return sum(len(table.rows) for table in self.tables)


def texts(*names: tuple[str, str]) -> tuple[Column, ...]:
    """Make columns of text of names and titles."""
    return tuple(Column(name=name, title=title) for name, title in names)


def numbers(*names: tuple[str, str]) -> tuple[Column, ...]:
    """Make columns of numbers of names and titles."""
    return tuple(Column(name=name, title=title, kind=Kind.NUMBER) for name, title in names)


def facts(name: str, title: str, rows: Sequence[tuple[str, int]]) -> Table:
    """Make a table of counts."""
    columns = (*texts(("what", "What")), *numbers(("count", "Count")))
    return Table(name=name, title=title, columns=columns, rows=tuple(rows))


def exact(number: Fraction) -> Decimal:
    """Write a fraction as a decimal, digit for digit. Raises ValueError where it has no end."""
    rest, places = number.denominator, 0
    while rest != 1:
        found = next((prime for prime in TEN if rest % prime == 0), 0)
        if not found:
            raise ValueError("this number has no end as a decimal")
        places += 1
        rest //= found
    digits = number * 10**places
    # Built of its digits: arithmetic with Decimal would round to 28 of them.
    sign = int(digits < 0)
    text = tuple(int(digit) for digit in str(abs(int(digits))))
    made = Decimal((sign, text, -places))
    return _short(made)


def _short(number: Decimal) -> Decimal:
    """Take zeros off the end of the places behind the point."""
    sign, digits, exponent = number.as_tuple()
    places = -int(exponent)
    while places > 0 and digits[-1] == 0 and len(digits) > 1:
        digits, places = digits[:-1], places - 1
    if set(digits) == {0}:
        return Decimal(0)
    return Decimal((sign, digits, -places))
