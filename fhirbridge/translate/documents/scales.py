"""From times and values to places on a drawing, with ticks at round numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from math import ceil, floor, log10

MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)
MOST_TIMES, MOST_VALUES = 10, 5  # how many ticks have room
_DATE_WIDTH, _MARGIN = 64.0, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A place on an axis, and what is written there."""

    x: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where values stand, from `low` at `first` to `high` at `last`."""

    low: float
    high: float
    first: float
    last: float
    ticks: tuple[Tick, ...] = ()

    def x(self, value: float) -> float:
        """Return the place of a value."""
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeScale:
    """Where times stand; written as the clocks of the first of them showed."""

    start: datetime
    places: Scale  # of minutes after the start
    offset: str
    ticks: tuple[Tick, ...]
    days: tuple[Tick, ...]  # the dates, where the plot has more than one

    def x(self, moment: datetime) -> float:
        """Return the place of a time."""
        return self.places.x(_minutes(moment - self.start))


def scale_of(
    values: Sequence[float], least: float | None, most: float | None, *, bottom: float, top: float
) -> Scale:
    """Return a scale that shows all values, and from `least` to `most` where those are given."""
    low = min(values if least is None else [*values, least])
    high = max(values if most is None else [*values, most])
    if low == high:
        low, high = low - 1, high + 1
    step = _round_step((high - low) / (MOST_VALUES - 1))
    first, last = floor(low / step), ceil(high / step)
    scale = Scale(low=first * step, high=last * step, first=bottom, last=top)
    digits = max(0, -floor(log10(step)))
    ticks = [number * step for number in range(first, last + 1)]
    named = tuple(Tick(x=scale.x(one), text=f"{one:.{digits}f}") for one in ticks)
    return Scale(low=scale.low, high=scale.high, first=bottom, last=top, ticks=named)


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20 … (or 0.5, 0.2 …) that is not below `least`."""
    ten = 10.0 ** floor(log10(least))
    return next(step * ten for step in (1, 2, 5, 10) if step * ten >= least)


def time_scale_of(moments: Sequence[datetime], left: float, right: float) -> TimeScale:
    """Return a scale that shows all of these times."""
    zone = moments[0].tzinfo
    start, end = moments[0].astimezone(zone), moments[-1].astimezone(zone)
    if start == end:
        end = start + timedelta(minutes=1)
    places = Scale(low=0, high=_minutes(end - start), first=left + _MARGIN, last=right - _MARGIN)
    at = [(_of(places, moment, start), moment) for moment in _ticks(start, end)]
    return TimeScale(
        start=start,
        places=places,
        offset=start.isoformat()[-len("+00:00") :],
        ticks=tuple(Tick(x=place, text=f"{moment:%H:%M}") for place, moment in at),
        days=_days(start, end, places, zone),
    )


def _of(places: Scale, moment: datetime, start: datetime) -> float:
    return places.x(_minutes(moment - start))


def _ticks(start: datetime, end: datetime) -> list[datetime]:
    span = _minutes(end - start)
    step = next((one for one in MINUTES if span / one <= MOST_TIMES), 0)
    step = step or ceil(span / MOST_TIMES / MINUTES[-1]) * MINUTES[-1]
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = ceil(_minutes(start - midnight) / step)
    last = floor(_minutes(end - midnight) / step)
    return [midnight + timedelta(minutes=step * number) for number in range(first, last + 1)]


def _days(start: datetime, end: datetime, places: Scale, zone: tzinfo | None) -> tuple[Tick, ...]:
    """Say where each day begins; where many begin, only those that have room."""
    right = places.last + _MARGIN
    found = [Tick(x=places.first - _MARGIN, text=start.date().isoformat(), anchor="start")]
    taken = found[0].x + _DATE_WIDTH
    day = start.date() + timedelta(days=1)
    while day <= end.date():
        x = _of(places, datetime(day.year, day.month, day.day, tzinfo=zone), start)
        at_edge = x + _DATE_WIDTH > right
        if (right - _DATE_WIDTH if at_edge else x) >= taken:
            place, anchor = (right, "end") if at_edge else (x, "start")
            found.append(Tick(x=place, text=day.isoformat(), anchor=anchor))
            taken = right if at_edge else x + _DATE_WIDTH
        day += timedelta(days=1)
    return tuple(found) if len(found) > 1 else ()


def _minutes(span: timedelta) -> float:
    return span / timedelta(minutes=1)
