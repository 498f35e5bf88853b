"""Holders with nothing left in them: where all that a row says is held, so is the row."""

from typing import Any

from fhirbridge.records.draft import Draft, Path, rows_in
from fhirbridge.records.source import Json

SIDES = ("systolic", "diastolic", "mean")
READINGS = (
    "blood_pressure", "heart_rate", "respiratory_rate", "spo2", "o2_flow", "fio2", "etco2",
    "temperature", "weight", "height", "readings",
)  # fmt: skip
# List in a list, and what its rows must say; then list, and what its rows must say.
INNER: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("administrations", "rates", ("rate",)),
    ("administrations", "boluses", ("dose",)),
    ("assessments", "items", ("value", "text", "absent_reason")),
    ("labs", "parts", ("value", "result", "text")),
)
OUTER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("vitals", READINGS),
    ("assessments", ("total", "items")),
    ("labs", ("result", "value", "text", "parts")),
    ("sedation", ("value", "text")),
    ("dissociation", ("total", "judgement", "subscales")),
)


def check(draft: Draft) -> None:
    """Hold holders that say nothing any more, innermost first."""
    _check_pressures(draft)
    for part, name, contents in INNER:
        for path, row in list(draft.rows(part)):
            for at, inner in list(rows_in(row, name, path)):
                _hold_empty(draft, at, inner, contents)
    for part, contents in OUTER:
        for path, row in list(draft.rows(part)):
            if row.get("status") != "not-done":
                _hold_empty(draft, path, row, contents)


def _check_pressures(draft: Draft) -> None:
    for path, row in list(draft.rows("vitals")):
        pressure = row.get("blood_pressure")
        if isinstance(pressure, dict):
            _hold_empty(draft, (*path, "blood_pressure"), pressure, SIDES)


def _hold_empty(
    draft: Draft, path: Path, holder: dict[str, Any], contents: tuple[str, ...]
) -> None:
    if any(_says_something(holder.get(name)) for name in contents) or draft.is_wrong(*path):
        return
    names = " or ".join(contents) if contents is not READINGS else "reading"
    draft.hold(path, "R214", f"this holds no {names} that can be used")


def _says_something(value: Json) -> bool:
    if isinstance(value, list):
        return any(item is not None for item in value)
    return value is not None
