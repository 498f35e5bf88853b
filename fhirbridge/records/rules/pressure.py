"""The pressure before a dose, against the limit that the clinic sets for itself."""

from typing import Any

from fhirbridge.records import units
from fhirbridge.records.draft import Draft, Path, value_at
from fhirbridge.records.moments import at
from fhirbridge.records.rules import given

SIDES = ("systolic", "diastolic")


def check(draft: Draft) -> None:
    """Warn where the last pressure before a study dose was above the limit; say nothing if none."""
    limits = draft.part("clinic").get("limits")
    if not isinstance(limits, dict):
        return
    warned: set[Path] = set()
    for _, row in draft.rows("administrations"):
        if row.get("role") == "study-drug" and row.get("status") in given.GIVEN:
            place, pressure = _last_before(draft, row.get("start"))
            if place not in warned and any(_above(pressure, limits, side) for side in SIDES):
                warned.add(place)
                text = "the last blood pressure before the dose is above the clinic's own limit"
                draft.warn((*place, "blood_pressure"), "R317", text)


def _last_before(draft: Draft, moment: object) -> tuple[Path, Any]:
    start = at(moment)
    before = [
        (time, path, row["blood_pressure"])
        for path, row in draft.rows("vitals")
        if "blood_pressure" in row and start and (time := at(row.get("time"))) and time <= start
    ]
    return max(before, key=lambda each: each[0])[1:] if before else ((), None)


def _above(pressure: object, limits: dict[str, Any], side: str) -> bool:
    found = units.measured(value_at(pressure, (side,)), "pressure")
    limit = units.measured(limits.get(side), "pressure")
    return found is not None and limit is not None and found > limit
