"""Measures that cannot be read: no unit, an unknown one, one of another kind, a value below zero.

What is held is the measure, never the row it stands in. A dose without a unit was still given: its
administration goes on with drug, time and route, and says that its amount is unknown, which is
true. Holding the whole row would show a chart without the drug, which is not.
"""

from typing import Any

from fhirbridge.records import units, vocabulary
from fhirbridge.records.draft import Draft, Place
from fhirbridge.records.source import SourceField

SHOWN_UNITS = 8


def check(draft: Draft, source: SourceField) -> None:
    """Hold each measure that does not say one amount, and each range of doses that is none."""
    for place in draft.walk(source):
        if place.field.dimensions:
            fault = _measure_fault(place) if "value" in place.field.fields else _range_fault(place)
            if fault:
                code, text = fault
                draft.hold(place.path, code, f"{place.path[-1]} {text}")


def _measure_fault(place: Place) -> tuple[str, str] | None:
    value, measure = place.value.get("value"), place.value
    if value is None:
        if "absent_reason" in measure:
            return None
        return "R204", "has neither a value nor an absent_reason"
    if "absent_reason" in measure:
        return "R205", "has a value and an absent_reason; only one can be true"
    if "unit" not in measure:
        return "R201", "has no unit, so its amount is not known"
    # A temperature is the one scale with true values below zero, and no patient reaches them.
    return _unit_fault(place) or (("R206", "is below zero") if value < 0 else None)


def _range_fault(place: Place) -> tuple[str, str] | None:
    low, high = place.value.get("low"), place.value.get("high")
    numbers = [low, high, place.value.get("step"), *(place.value.get("options") or ())]
    if any(number is not None and number < 0 for number in numbers):
        return "R206", "holds a number below zero"
    if low is not None and high is not None and low > high:
        return "R210", "has a low above its high"
    return _unit_fault(place) if "unit" in place.value else None


def _unit_fault(place: Place) -> tuple[str, str] | None:
    unit: Any = place.value["unit"]
    of, wanted = units.known().get(unit), place.field.dimensions
    if of is not None and not set(of).isdisjoint(wanted):
        return None
    fitting = [name for name, dims in units.known().items() if not set(dims).isdisjoint(wanted)]
    if of is not None:
        return "R203", f"has a unit of another kind; use one of {', '.join(fitting[:SHOWN_UNITS])}"
    near = vocabulary.nearest(unit, fitting)
    return "R202", f"has an unknown unit{f'; did you mean {near}?' if near else ''}"
