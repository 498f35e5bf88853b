"""What a `<plot>` of a document says: what was given, and what was measured, over time.

Names, labels and units are the document's own; nothing here knows a drug or a vital sign.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

from fhirbridge.translate.documents.page_tree import Element

LONGEST = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something on a lane: a stretch (shaded), a pause (empty), or a moment (a mark).

    `end` is the same as `start` for a moment, and nothing for what has no end in the record.
    """

    kind: str
    start: datetime
    end: datetime | None
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row of what was given, or of what happened."""

    name: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What was measured, by time."""

    name: str
    points: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines of one unit on one scale, which shows `least` and `most` whatever was measured."""

    name: str
    unit: str
    least: float | None
    most: float | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A whole plot."""

    title: str
    lanes: tuple[Lane, ...]
    panels: tuple[Panel, ...]

    @property
    def moments(self) -> list[datetime]:
        """Every time in it, in order."""
        items = [item for lane in self.lanes for item in lane.items]
        times = [time for item in items for time in (item.start, item.end) if time is not None]
        lines = [line for panel in self.panels for line in panel.lines]
        return sorted(times + [time for line in lines for time, _ in line.points])

    @property
    def shows_a_course(self) -> bool:
        """Whether something was measured twice, within a month: else the table tells it better."""
        lines = [line for panel in self.panels for line in panel.lines]
        times = self.moments
        return any(len({time for time, _ in line.points}) > 1 for line in lines) and (
            times[-1] - times[0] <= LONGEST
        )


def read(plot: Element) -> Chart:
    """Read a plot. What has no time of day, or no number, cannot be drawn and is left out."""
    lanes = [Lane(name=_name(one), items=tuple(_items(one))) for one in plot.inner("lane")]
    panels = [panel for one in plot.inner("panel") for panel in _panels(one)]
    return Chart(
        title=plot.get("title"),
        lanes=tuple(lane for lane in lanes if lane.items),
        panels=tuple(panels),
    )


def _name(element: Element) -> str:
    return " ".join(element.get("name").split())


def _items(lane: Element) -> Iterator[Item]:
    for one in lane.inner("stretch", "pause", "moment"):
        label = " ".join(one.get("label").split())
        start = _moment(one.get("at" if one.tag == "moment" else "from"))
        if start is not None:
            end = start if one.tag == "moment" else _moment(one.get("to"))
            yield Item(kind=one.tag, start=start, end=end, label=label)


def _panels(panel: Element) -> Iterator[Panel]:
    """Yield one panel for each unit: values of two units are not comparable on one scale."""
    lines = [(_name(one), list(_points(one))) for one in panel.inner("line")]
    units = dict.fromkeys(unit for _, points in lines for unit, _, _ in points)
    for number, unit in enumerate(units):
        yield Panel(
            name=_name(panel),
            unit=unit,
            # The bounds are in the unit that comes first.
            least=None if number else _number(panel.get("least")),
            most=None if number else _number(panel.get("most")),
            lines=tuple(_lines(lines, unit)),
        )


_Point = tuple[str, datetime, float]


def _lines(lines: list[tuple[str, list[_Point]]], unit: str) -> Iterator[Line]:
    for name, points in lines:
        found = sorted((time, value) for own, time, value in points if own == unit)
        if found:
            yield Line(name=name, points=tuple(found))


def _points(line: Element) -> Iterator[_Point]:
    for one in line.inner("point"):
        time, value = _moment(one.get("at")), _number(one.get("value"))
        if time is not None and value is not None:
            yield one.get("unit"), time, value


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) else None
