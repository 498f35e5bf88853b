"""Rows of a delimited file, whatever a spreadsheet made of it: encoding, mark, delimiter, quotes.

Nothing is guessed that could change a text: bytes are UTF-8, or what their mark says, or what the
column map says. A cell is text; a formula is never worked out, and is refused.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import zip_longest

from fhirbridge.errors import BridgeError

DELIMITERS = (",", ";", "\t", "|")
ROW_LIMIT = 100_000
CELL_LIMIT = 20_000
MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# ="00123" keeps zeros in spreadsheets; it is the one formula that says what its value is.
_QUOTED = re.compile(r'="([^"]*)"')
_FORMULA = re.compile(r"[=@]|[+-][A-Za-z(=@]")


class TableError(BridgeError):
    """The file cannot be read as a table."""

    code = "E120"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row: its number as a spreadsheet shows it, and its cells by column."""

    number: int
    cells: Mapping[str, str]


def read(
    raw: bytes, *, wanted: Iterable[str], encoding: str = "", delimiter: str = ""
) -> list[TableRow]:
    """Read the rows below the header; raise TableError where the file is no such table.

    Without a delimiter it is the one by which the header has most of the columns that are wanted.
    """
    text = _text(raw, encoding)
    columns = list(wanted)
    found = delimiter or max(DELIMITERS, key=lambda each: _hits(text, each, columns))
    rows = _rows(text, found)
    header = [name.strip() for name in rows[0]] if rows else []
    _refuse_header(header, columns)
    return [
        TableRow(number=number, cells=_cells(header, row, number))
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]


def is_formula(cell: str) -> bool:
    """Say whether a spreadsheet would take this text for a formula."""
    return bool(_FORMULA.match(cell))


def _text(raw: bytes, encoding: str) -> str:
    for mark, marked in MARKS:
        if raw.startswith(mark):
            raw, encoding = raw[len(mark) :], marked
            break
    try:
        text = raw.decode(encoding or "utf-8")
    except (UnicodeDecodeError, LookupError):
        raise TableError(
            f"the file is not {encoding or 'UTF-8'} text",
            hint="save it as CSV UTF-8, or write its encoding in the column map: encoding: cp1252",
        ) from None
    if "\x00" in text:
        raise TableError("the file holds null characters: it is no text", hint="save it as CSV")
    return text


def _hits(text: str, delimiter: str, wanted: list[str]) -> int:
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error:  # one cell of more than the reader takes
        return 0
    return len({name.strip() for name in header}.intersection(wanted))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            rows.append(row)
            if len(rows) > ROW_LIMIT:
                raise TableError(f"the file has more than {ROW_LIMIT} rows", hint="split it")
    except csv.Error:
        raise TableError(
            f"row {len(rows) + 1} has a quotation mark that is not closed or stands in a cell",
            hint="export the file again, with every cell in quotes",
        ) from None
    return rows


def _refuse_header(header: list[str], wanted: list[str]) -> None:
    missing = [name for name in dict.fromkeys(wanted) if name not in header]
    if missing:
        raise TableError(
            f"row 1 has no column {', '.join(missing)}",
            hint="the first row must hold the column names that the column map uses",
        )
    doubled = [name for name in dict.fromkeys(wanted) if header.count(name) > 1]
    if doubled:
        raise TableError(f"row 1 has the column {', '.join(doubled)} more than once")


def _cells(header: list[str], row: list[str], number: int) -> dict[str, str]:
    if len(row) > len(header) and any(cell.strip() for cell in row[len(header) :]):
        raise TableError(
            f"row {number} has more cells than row 1 has columns",
            hint="a cell that holds the delimiter must stand in quotes",
        )
    cells: dict[str, str] = {}
    for name, cell in zip_longest(header, row[: len(header)], fillvalue=""):
        if len(cell) > CELL_LIMIT:
            raise TableError(f"row {number}, column {name}: the cell is too long")
        quoted = _QUOTED.fullmatch(cell.strip())
        cells[name] = quoted[1] if quoted else cell.strip()
    return cells
