"""Dates and times as R4 searches them: each stands for all that its precision leaves open. Pure.

What is asked without a time zone is compared with the wall clock of where it was written down: the
2nd of March is the 2nd of March of the clinic.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")  # as R4 names them
FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001  wall clocks
FARTHEST = timedelta(hours=14)  # of a time zone from UTC
MARGIN = timedelta(days=1)  # a shift of time zones leads nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `low` on and before `high`, on a wall clock that is `offset` ahead of UTC, or unsaid."""

    low: datetime
    high: datetime
    offset: timedelta | None = None

    def utc(self) -> "Span":
        """Return it on the clock of UTC; unsaid is taken for that."""
        ahead = self.offset or timedelta(0)
        low = self.low - ahead if self.low > FIRST + MARGIN else self.low
        high = self.high - ahead if self.high < LAST - MARGIN else self.high
        return Span(low=low, high=high, offset=timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a date parameter asks for."""

    prefix: str
    span: Span


def read(text: str) -> Span | None:
    """Read a date or time of any precision; None for anything else."""
    found = FORM.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        low = datetime(  # noqa: DTZ001  a wall clock
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0),
            min(int(second or 0), 59), int(f"{fraction or '.0'}000000"[1:7]),
        )  # fmt: skip
        high = low + _length(low, found)
    except (ValueError, OverflowError):
        return None
    offset = None if zone is None else _offset(zone)
    if offset is not None and abs(offset) > FARTHEST:
        return None
    return Span(low=low, high=high, offset=offset)


def _length(low: datetime, found: re.Match[str]) -> timedelta:
    _, month, day, hour, _, second, fraction, _ = found.groups()
    if month is None:
        return low.replace(year=low.year + 1) - low
    if day is None:
        return (low + timedelta(days=31)).replace(day=1) - low
    if hour is None:
        return timedelta(days=1)
    if second is None:
        return timedelta(minutes=1)
    return timedelta(seconds=1) if fraction is None else _tick(fraction)


def _tick(fraction: str) -> timedelta:
    return timedelta(microseconds=10 ** max(7 - len(fraction), 0))


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta(0)
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    return -ahead if zone[0] == "-" else ahead


def asked(value: str) -> Asked | None:
    """Read a date parameter's value, such as `ge2026-03-01`; None for what is none."""
    prefix = value[:2] if value[:2] in PREFIXES else ""
    span = read(value.removeprefix(prefix))
    return None if span is None else Asked(prefix=prefix or "eq", span=span)


def of_element(element: Any) -> Span | None:
    """Return the span of a date, a time or a Period; None for anything else."""
    if isinstance(element, str):
        return read(element)
    if not isinstance(element, dict) or not element.keys() & {"start", "end"}:
        return None
    start = read(str(element.get("start", "")))
    end = read(str(element.get("end", "")))
    known = start or end
    if known is None:
        return None
    return Span(
        low=start.low if start else FIRST, high=end.high if end else LAST, offset=known.offset
    )


def meets(there: Span | None, wanted: Asked | None) -> bool:
    """Compare as R4 defines the prefixes."""
    if there is None or wanted is None:
        return False
    span = wanted.span
    if span.offset is not None:
        there, span = there.utc(), span.utc()
    return COMPARE[wanted.prefix](there, span)


def _is_within(there: Span, span: Span) -> bool:
    return span.low <= there.low and there.high <= span.high


COMPARE: Mapping[str, Callable[[Span, Span], bool]] = {
    "eq": _is_within,
    "ne": lambda there, span: not _is_within(there, span),
    "gt": lambda there, span: there.high > span.high,
    "lt": lambda there, span: there.low < span.low,
    # R4 has "overlaps what is after, or lies within"; most servers, and who asks, mean this.
    "ge": lambda there, span: there.high > span.low,
    "le": lambda there, span: there.low < span.high,
    "sa": lambda there, span: there.low >= span.high,
    "eb": lambda there, span: there.high <= span.low,
}


def bounds(wanted: Asked) -> tuple[datetime | None, datetime | None] | None:
    """Return (from, before) of moments that meet it; None where that is no one stretch of time."""
    span = wanted.span.utc()
    low, high = span.low.replace(tzinfo=UTC), span.high.replace(tzinfo=UTC)
    found: dict[str, tuple[datetime | None, datetime | None]] = {
        "eq": (low, high),
        "gt": (high, None),
        "sa": (high, None),
        "ge": (low, None),
        "lt": (None, low),
        "eb": (None, low),
        "le": (None, high),
    }
    return found.get(wanted.prefix)
