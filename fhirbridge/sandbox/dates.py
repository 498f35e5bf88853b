"""A FHIR date with a prefix, as a search for an instant understands it. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fhirbridge.sandbox.outcome import bad_request

_FORM = re.compile(
    r"(?P<prefix>eq|ne|gt|lt|ge|le|sa|eb)?"
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)(T(?P<time>\d\d:\d\d(:\d\d(\.\d{1,6})?)?)"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_WITH_SECONDS = 8
_MINUTES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The instants that a date means, first inclusive, last exclusive, and how to compare."""

    prefix: str
    low: datetime
    high: datetime

    def holds(self, instant: datetime) -> bool:
        """Tell whether the instant satisfies this search value."""
        inside = self.low <= instant < self.high
        return {
            "eq": inside,
            "ne": not inside,
            "gt": instant >= self.high,
            "sa": instant >= self.high,
            "ge": instant >= self.low,
            "lt": instant < self.low,
            "eb": instant < self.low,
            "le": instant < self.high,
        }[self.prefix]


def parse(value: str, *, name: str) -> Period:
    """Read `ge2026-01-01T10:00:00Z`; a missing zone is UTC.

    Raises RefusedError (400) that says `name`.
    """
    match = _FORM.fullmatch(value)
    period = None if match is None else _period(match)
    if period is None:
        raise bad_request(f"{name} is not a date", hint="write it as ge2026-01-31T10:00:00Z")
    return period


def _period(match: re.Match[str]) -> Period | None:
    try:
        low = _low(match)
        return Period(prefix=match["prefix"] or "eq", low=low, high=_high(match, low))
    except (ValueError, OverflowError):  # the 31st of June, the year 0
        return None


def _low(match: re.Match[str]) -> datetime:
    day = f"{match['year']}-{match['month'] or '01'}-{match['day'] or '01'}"
    time = match["time"] or "00:00"
    return datetime.fromisoformat(f"{day}T{time}{match['zone'] or 'Z'}").astimezone(UTC)


def _high(match: re.Match[str], low: datetime) -> datetime:
    if match["month"] is None:
        return low.replace(year=low.year + 1)
    if match["day"] is None:
        return (low + timedelta(days=31)).replace(day=1)
    return low + _width(match["time"])


def _width(time: str | None) -> timedelta:
    if time is None:
        return timedelta(days=1)
    if len(time) == _MINUTES:
        return timedelta(minutes=1)
    if len(time) == _WITH_SECONDS:
        return timedelta(seconds=1)
    return timedelta(microseconds=10 ** (6 - len(time) + _WITH_SECONDS + 1))
