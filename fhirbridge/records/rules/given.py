"""What an administration amounts to, in base units: exact, or None where nothing says it."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from fhirbridge.records import units, vocabulary
from fhirbridge.records.draft import rows_in
from fhirbridge.records.moments import at

GIVEN = ("in-progress", "completed", "stopped")
MINUTES_AN_HOUR = 60
MINUTE = timedelta(minutes=1)
_TICK = timedelta.resolution


def is_of(row: Mapping[str, Any], field: str, *keys: str) -> bool:
    """Say whether a coded field has one of these keys."""
    value = row.get(field)
    return isinstance(value, dict) and value.get("key") in keys


def weight(row: Mapping[str, Any]) -> Fraction | None:
    """Return the weight used, in the unit that doses are counted by; None if unknown or nought."""
    return (
        units.measured(
            row.get("weight_used"), "mass", to=vocabulary.read("bounds.json")["weight_unit"]
        )
        or None
    )


def dose(row: Mapping[str, Any]) -> Fraction | None:
    """Return the mass given."""
    given = row.get("dose")
    mass = units.measured(given, "mass")
    if mass is not None:
        return mass
    per_weight, body = units.measured(given, "mass-per-weight"), weight(row)
    if per_weight is not None:
        return per_weight * body if body else None
    volume, strength = units.measured(given, "volume"), strength_of(row)
    return volume * strength if volume is not None and strength is not None else None


def strength_of(row: Mapping[str, Any]) -> Fraction | None:
    """Return how much of the drug one mL of its mixture holds; None where that is not said."""
    keys = [
        (part, (part.get("drug") or {}).get("key"))
        for _, part in rows_in(dict(row), "ingredients", ())
    ]
    own = (row.get("drug") or {}).get("key")
    vehicle = vocabulary.read("bounds.json")["vehicle"]
    wanted = [part for part, key in keys if (key == own if own else key != vehicle)]
    return units.measured(wanted[0].get("amount"), "concentration") if len(wanted) == 1 else None


def dose_per_weight(row: Mapping[str, Any]) -> Fraction | None:
    """Return the dose per body weight: worked out from what was given, else as stated."""
    mass, body = dose(row), weight(row)
    if mass is not None and body:
        return mass / body
    return units.measured(row.get("dose_per_weight"), "mass-per-weight")


def rate(row: Mapping[str, Any], segment: Mapping[str, Any]) -> Fraction | None:
    """Return the mass per hour of one segment."""
    said = segment.get("rate")
    mass = units.measured(said, "mass-rate")
    if mass is not None:
        return mass
    per_weight, body = units.measured(said, "mass-rate-per-weight"), weight(row)
    if per_weight is not None:
        return per_weight * body if body else None
    volume, strength = units.measured(said, "volume-rate"), concentration(row)
    return volume * strength if volume is not None and strength is not None else None


def concentration(row: Mapping[str, Any]) -> Fraction | None:
    """Return the one concentration of the supplies; None where there is none, or several."""
    said = [supply.get("concentration") for _, supply in rows_in(dict(row), "supplies", ())]
    found = {units.measured(one, "concentration") for one in said if one is not None}
    return found.pop() if len(found) == 1 else None


def minutes(row: Mapping[str, Any]) -> Fraction | None:
    """Return the minutes from start to end."""
    start, end = at(row.get("start")), at(row.get("end"))
    return between(start, end) if start and end else None


def between(start: datetime, end: datetime) -> Fraction:
    """Return the minutes from one time to another."""
    return Fraction((end - start) // _TICK, MINUTE // _TICK)


def infused(row: Mapping[str, Any]) -> Fraction | None:
    """Return what rates and boluses add up to; None where one of them cannot be worked out."""
    total = Fraction(0)
    for _, segment in rows_in(dict(row), "rates", ()):
        hourly, running = rate(row, segment), minutes(segment)
        if hourly is None or running is None:
            return None
        total += hourly * (running - _paused(row, segment)) / MINUTES_AN_HOUR
    for _, bolus in rows_in(dict(row), "boluses", ()):
        mass = units.measured(bolus.get("dose"), "mass")
        if mass is None:
            return None
        total += mass
    return total


def _paused(row: Mapping[str, Any], segment: Mapping[str, Any]) -> Fraction:
    """Return the minutes of the segment in which nothing ran."""
    start, end = at(segment["start"]), at(segment["end"])
    total = Fraction(0)
    for since, until in _pauses(row):
        if start and end:
            total += max(Fraction(0), between(max(start, since), min(end, until)))
    return total


def _pauses(row: Mapping[str, Any]) -> Iterator[tuple[datetime, datetime]]:
    for _, pause in rows_in(dict(row), "pauses", ()):
        since, until = at(pause.get("start")), at(pause.get("end"))
        if since and until:
            yield since, until
