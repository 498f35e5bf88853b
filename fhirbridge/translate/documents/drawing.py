"""A chart as shapes: where each stands. Pure geometry, black on white, told apart without colour.

Coordinates are those of an SVG: x to the right, y down, WIDTH across.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fhirbridge.translate.documents.chart import Chart, Item, Lane, Line, Panel
from fhirbridge.translate.documents.scales import Scale, TimeScale, scale_of, time_scale_of

WIDTH = 720.0
LEFT, RIGHT = 168.0, 708.0  # of what is drawn over time; names stand left of it
TOP, BOTTOM = 6.0, 34.0
ROW, GAP, HIGH = 17.0, 10.0, 92.0  # a row of a lane, the space between parts, a panel
SIZE, SMALL = 11.0, 10.0
LETTER = 0.6  # of the size: how wide a letter is at most, on average
LONGEST = 44  # letters of a label; the whole stands in the text of the note
INK, GREY, SHADE = "#111", "#999", "#ddd"
DASHES = ("", "5 2", "1.5 2", "7 2 1.5 2")

XY = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Strokes through points, each closed or not; filled where `fill` says a colour."""

    strokes: tuple[tuple[XY, ...], ...]
    closed: bool = False
    fill: str = ""
    stroke: str = INK
    width: float = 1.0
    dash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One line of text; `anchor` says which end of it stands at x: start, middle, end."""

    x: float
    y: float
    text: str
    size: float = SIZE
    anchor: str = "start"
    bold: bool = False


Shape = Path | Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Shapes from back to front, and how high they stand."""

    height: float
    shapes: tuple[Shape, ...]


def drawn(chart: Chart) -> Drawing:
    """Lay a chart out: lanes above, panels below, one axis of time for all."""
    time = time_scale_of(chart.moments, LEFT, RIGHT)
    shapes: list[Shape] = []
    y = TOP
    for lane in chart.lanes:
        rows = _rows(lane, time)
        shapes += _lane(lane, rows, y)
        y += ROW * len(rows) + GAP
    for panel in chart.panels:
        shapes += _panel(panel, time, y)
        y += max(HIGH, _needed(panel)) + GAP
    behind = _grid(time, y - GAP / 2)
    return Drawing(height=y + BOTTOM, shapes=(*behind, *shapes, *_axis(time, y)))


def _grid(time: TimeScale, bottom: float) -> Iterator[Shape]:
    lines = tuple(((tick.x, TOP), (tick.x, bottom)) for tick in time.ticks)
    yield Path(strokes=lines, stroke=SHADE, width=0.6)


def _axis(time: TimeScale, y: float) -> Iterator[Shape]:
    yield Path(strokes=(((LEFT, y), (RIGHT, y)),))
    yield Path(strokes=tuple(((tick.x, y), (tick.x, y + 4)) for tick in time.ticks))
    for tick in time.ticks:
        yield Text(x=tick.x, y=y + 15, text=tick.text, size=SMALL, anchor="middle")
    yield Text(x=4, y=y + 15, text=f"Time ({time.offset})", size=SMALL)
    for day in time.days:
        yield Text(x=day.x, y=y + 28, text=day.text, size=SMALL, anchor=day.anchor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    item: Item
    x0: float
    x1: float
    label: Text
    reach: tuple[float, float]  # from where to where it and its label stand

    def clear_of(self, other: "_Placed") -> bool:
        return self.reach[0] >= other.reach[1] + 2 or self.reach[1] + 2 <= other.reach[0]


def _rows(lane: Lane, time: TimeScale) -> list[list[_Placed]]:
    """Put the items into as few rows as keep all labels apart."""
    rows: list[list[_Placed]] = []
    for item in sorted(lane.items, key=lambda one: one.start):
        placed = _place(item, time)
        row = next((row for row in rows if all(placed.clear_of(one) for one in row)), None)
        if row is None:
            rows.append([placed])
        else:
            row.append(placed)
    return rows


def _place(item: Item, time: TimeScale) -> _Placed:
    x0 = time.x(item.start)
    x1 = RIGHT if item.end is None else max(time.x(item.end), x0)
    words = _cut(item.label, LONGEST)
    width = _width(words, SMALL)
    if item.kind == "moment":
        x0, x1 = x0 - 4, x0 + 4
    elif x1 - x0 >= width + 8:
        return _Placed(item=item, x0=x0, x1=x1, label=_label(x0 + 4, words), reach=(x0, x1))
    if x1 + 4 + width <= WIDTH:
        label, reach = _label(x1 + 4, words), (x0, x1 + 4 + width)
    else:
        label, reach = _label(x0 - 4, words, "end"), (x0 - 4 - width, x1)
    return _Placed(item=item, x0=x0, x1=x1, label=label, reach=reach)


def _label(x: float, words: str, anchor: str = "start") -> Text:
    return Text(x=x, y=0, text=words, size=SMALL, anchor=anchor)


def _lane(lane: Lane, rows: list[list[_Placed]], y: float) -> Iterator[Shape]:
    yield from _named(lane.name, y, len(rows))
    for row in rows:
        for one in row:
            yield _item(one, y)
            label = one.label
            yield Text(x=label.x, y=y + 12, text=label.text, size=SMALL, anchor=label.anchor)
        y += ROW


def _named(name: str, y: float, rows: int) -> Iterator[Shape]:
    """Write a name at the left, over as many lines as it needs and the rows have room for."""
    lines = _wrapped(name, int((LEFT - 12) / (SIZE * LETTER)))
    for number, line in enumerate(lines[:rows]):
        words = line if number + 1 < rows or len(lines) <= rows else _cut(line + " …", len(line))
        yield Text(x=4, y=y + 12 + number * ROW, text=words, bold=True)


def _item(one: _Placed, y: float) -> Shape:
    top, bottom = y + 2.5, y + ROW - 1.5
    if one.item.kind == "moment":
        middle = (one.x0 + one.x1) / 2
        return Path(
            strokes=(((one.x0, top + 2), (one.x1, top + 2), (middle, bottom - 1)),),
            closed=True,
            fill=INK,
        )
    x1 = max(one.x1, one.x0 + 1)
    # What has no end in the record stays open at its right.
    box = ((x1, top), (one.x0, top), (one.x0, bottom), (x1, bottom))
    shaded = one.item.kind == "stretch"
    return Path(
        strokes=(box,),
        closed=one.item.end is not None,
        fill=SHADE if shaded else "#fff",
        dash="" if shaded else "3 2",
    )


def _panel(panel: Panel, time: TimeScale, y: float) -> Iterator[Shape]:
    high = max(HIGH, _needed(panel))
    values = [value for line in panel.lines for _, value in line.points]
    scale = scale_of(values, panel.least, panel.most, bottom=y + high - 6, top=y + 6)
    yield from _heading(panel, y)
    across = tuple(((LEFT, tick.x), (RIGHT, tick.x)) for tick in scale.ticks)
    yield Path(strokes=across, stroke=SHADE, width=0.6)
    yield Path(strokes=(((LEFT, y), (LEFT, y + high)),), stroke=GREY)
    for tick in scale.ticks:
        yield Text(x=LEFT - 5, y=tick.x + 3.5, text=tick.text, size=SMALL, anchor="end")
    for number, line in enumerate(panel.lines):
        yield from _line(line, number, time, scale)


def _heading(panel: Panel, y: float) -> Iterator[Shape]:
    unit = f", {panel.unit}" if panel.unit else ""
    lines = _wrapped(f"{panel.name}{unit}", _PANEL_LETTERS)
    for number, words in enumerate(lines):
        yield Text(x=4, y=y + 12 + number * 14, text=words, bold=True)
    y += 14 * len(lines)
    if len(panel.lines) == 1 and panel.lines[0].name in ("", panel.name):
        return
    for number, line in enumerate(panel.lines):
        at = y + 10 + number * 14
        yield Path(strokes=(((4, at), (28, at)),), dash=_dash(number), width=1.2)
        yield _marks([(16, at)], number)
        yield Text(x=34, y=at + 4, text=_cut(line.name, _PANEL_LETTERS - 4), size=SMALL)


_PANEL_LETTERS = int((LEFT - 40) / (SIZE * LETTER))


def _needed(panel: Panel) -> float:
    unit = f", {panel.unit}" if panel.unit else ""
    lines = len(_wrapped(f"{panel.name}{unit}", _PANEL_LETTERS)) + len(panel.lines)
    return 14.0 * lines + 8


def _line(line: Line, number: int, time: TimeScale, scale: Scale) -> Iterator[Shape]:
    points = [(time.x(at), scale.x(value)) for at, value in line.points]
    if len(points) > 1:
        yield Path(strokes=(tuple(points),), dash=_dash(number), width=1.2)
    yield _marks(points, number)


def _dash(number: int) -> str:
    return DASHES[number % len(DASHES)]


def _marks(points: list[XY], number: int) -> Path:
    """Draw the marks of one line: each line of a panel has a shape of its own."""
    shape = _SHAPES[number % len(_SHAPES)]
    strokes = tuple(tuple((x + dx, y + dy) for dx, dy in shape) for x, y in points)
    open_mark = number % len(_SHAPES) == len(_SHAPES) - 1
    return Path(strokes=strokes, closed=True, fill="#fff" if open_mark else INK)


# Down, up, a square, an open diamond. As on an anaesthetic chart the first two are the pressures.
_SHAPES: tuple[tuple[XY, ...], ...] = (
    ((-3.5, -3.5), (3.5, -3.5), (0, 2.5)),
    ((-3.5, 3.5), (3.5, 3.5), (0, -2.5)),
    ((-2.5, -2.5), (2.5, -2.5), (2.5, 2.5), (-2.5, 2.5)),
    ((0, -4), (4, 0), (0, 4), (-4, 0)),
)


def _width(words: str, size: float) -> float:
    return len(words) * size * LETTER


def _cut(words: str, letters: int) -> str:
    return words if len(words) <= letters else words[: letters - 1].rstrip() + "…"


def _wrapped(words: str, letters: int) -> list[str]:
    """Break words into lines; a word that is too long for one is cut."""
    lines: list[str] = []
    for word in words.split():
        if lines and len(lines[-1]) + 1 + len(word) <= letters:
            lines[-1] += f" {word}"
        else:
            lines.append(_cut(word, letters))
    return lines
