"""Vital signs: what no body can show is held, what is rare is sent with a warning.

A crisis is rare and true: an oxygen saturation of 45, no breath, a pressure of 40 must reach the
chart.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from fhirbridge.records import units, vocabulary
from fhirbridge.records.draft import Draft, Path, value_at


def hold_impossible(draft: Draft) -> None:
    """Hold readings that cannot be true."""
    for path, value, bounds in list(_readings(draft)):
        least, most = (Fraction(end) for end in bounds["possible"])
        if not least <= value <= most:
            draft.hold(path, "R207", f"{path[-1]} cannot be true; check the reading and its unit")


def warn(draft: Draft) -> None:
    """Warn of readings outside the usual bounds, and of a diastolic not below the systolic."""
    for path, value, bounds in _readings(draft):
        least, most = (Fraction(end) for end in bounds["usual"])
        if not least <= value <= most:
            draft.warn(path, "R301", f"{path[-1]} is outside the usual bounds; it is sent as it is")
    for path, row in draft.rows("vitals"):
        pressure = row.get("blood_pressure")
        sides = [_pressure(pressure, side) for side in ("systolic", "diastolic")]
        if sides[0] is not None and sides[1] is not None and sides[1] >= sides[0]:
            text = "diastolic is not below systolic; check that they are not swapped"
            draft.warn((*path, "blood_pressure"), "R302", text)


def _readings(draft: Draft) -> Iterator[tuple[Path, Fraction, Any]]:
    """Walk the readings that have bounds, in the unit of the bounds."""
    table = vocabulary.read("bounds.json")["vitals"]
    for path, row in draft.rows("vitals"):
        for name, bounds in table.items():
            way = tuple(name.split("."))
            measure = value_at(row, way)
            value = units.measured(measure, bounds["dimension"], to=bounds.get("unit", ""))
            if value is not None:
                yield (*path, *way), value, bounds


def _pressure(pressure: object, side: str) -> Fraction | None:
    return units.measured(value_at(pressure, (side,)), "pressure")
