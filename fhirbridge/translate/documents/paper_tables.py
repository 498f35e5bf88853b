"""Tables of a PDF: columns as wide as their words need, rows that go on over the sheets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fhirbridge.translate.documents.sheets import SIDE, SMALL, TOP, Sheets

_PAD = 1.2  # around the text of a cell
_WIDEST = 70.0  # what one column asks for at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell over so many columns."""

    text: str
    span: int
    bold: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row; those that head the table are written again on each sheet."""

    cells: tuple[Cell, ...]
    heads: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    x: float
    width: float
    lines: list[str]
    bold: bool


def write(sheets: Sheets, rows: Sequence[Row], left: float) -> None:
    """Write a table at the cursor."""
    sheets.type(SMALL)
    widths = _widths(sheets, rows, sheets.epw - left)
    heads = [list(_boxes(sheets, row, widths, left)) for row in rows if row.heads]
    with sheets.placing():
        for row in rows:
            boxes = list(_boxes(sheets, row, widths, left))
            _row(sheets, boxes, [] if row.heads else heads)
    sheets.set_x(SIDE)


def _widths(sheets: Sheets, rows: Sequence[Row], whole: float) -> list[float]:
    """Give each column its longest word, and share out the rest by what its texts would take."""
    count = max((sum(cell.span for cell in row.cells) for row in rows), default=0)
    least, wanted = [0.0] * count, [0.0] * count
    for row in rows:
        column = 0
        for cell in row.cells:
            if cell.span == 1:
                sheets.type(SMALL, bold=cell.bold)
                words = max((sheets.width_of(word) for word in cell.text.split()), default=0)
                least[column] = max(least[column], words + 2 * _PAD + 0.2)
                text = min(sheets.width_of(cell.text), _WIDEST) + 2 * _PAD + 0.2
                wanted[column] = max(wanted[column], text, least[column])
            column += cell.span
    if sum(least) >= whole:
        return _fair(least, whole)
    more = sum(wanted) - sum(least)
    left = whole - sum(least)
    if not more:
        return [one + left / count for one in least]
    return [low + left * (high - low) / more for low, high in zip(least, wanted, strict=True)]


def _fair(least: list[float], whole: float) -> list[float]:
    """Give each column what it needs or an equal share; words that are wider are broken."""
    given = dict.fromkeys(range(len(least)), 0.0)
    left = whole
    for place, column in enumerate(sorted(given, key=lambda one: least[one])):
        given[column] = min(least[column], left / (len(least) - place))
        left -= given[column]
    return list(given.values())


def _boxes(sheets: Sheets, row: Row, widths: list[float], left: float) -> Iterator[_Box]:
    column, x = 0, SIDE + left
    for cell in row.cells:
        width = sum(widths[column : column + cell.span])
        sheets.type(SMALL, bold=cell.bold)
        lines = sheets.lines(cell.text, max(width - 2 * _PAD, 1))
        yield _Box(x=x, width=width, lines=lines, bold=cell.bold)
        column, x = column + cell.span, x + width


def _row(sheets: Sheets, boxes: list[_Box], heads: list[list[_Box]]) -> None:
    """Write one row; one that fits on no sheet is broken, any other stays together."""
    left = max(len(box.lines) for box in boxes) or 1
    done = 0
    while left:
        room = int((sheets.room - 2 * _PAD) / sheets.leading)
        whole = int((sheets.whole - 2 * _PAD) / sheets.leading)
        if sheets.get_y() > TOP and (room < 1 or room < left <= whole):
            sheets.add_page()
            for head in heads:
                _part(sheets, head, 0, max(len(box.lines) for box in head))
            heads = []
            continue
        count = min(max(room, 1), left)
        _part(sheets, boxes, done, count)
        done, left = done + count, left - count


def _part(sheets: Sheets, boxes: list[_Box], first: int, count: int) -> None:
    y = sheets.get_y()
    sheets.type(SMALL)
    high = sheets.leading * count + 2 * _PAD
    for box in boxes:
        sheets.ink("#bbb", 0.2, "#eee" if box.bold else "#fff")
        sheets.rect(box.x, y, box.width, high, style="DF")
        sheets.type(SMALL, bold=box.bold)
        for number, line in enumerate(box.lines[first : first + count]):
            sheets.place(box.x + _PAD, y + _PAD + number * sheets.leading, line)
    sheets.set_y(y + high)
