"""Holders with nothing left in them: where all that a row says is held, so is the row."""

from typing import Any

from fhirbridge.records.draft import Draft, Path, rows_in
from fhirbridge.records.source import Json

SIDES = ("systolic", "diastolic", "mean")
READINGS = (
    "blood_pressure", "heart_rate", "respiratory_rate", "spo2", "o2_flow", "fio2", "etco2",
    "temperature", "weight", "height", "readings",
)  # fmt: skip
ANSWER = ("value", "text", "absent_reason")


def check(draft: Draft) -> None:
    """Hold holders that say nothing any more, innermost first."""
    _check_vitals(draft)
    _check_administrations(draft)
    _check_assessments(draft)


def _check_vitals(draft: Draft) -> None:
    for path, row in list(draft.rows("vitals")):
        pressure = row.get("blood_pressure")
        if isinstance(pressure, dict):
            _hold_empty(draft, (*path, "blood_pressure"), pressure, SIDES)
        _hold_empty(draft, path, row, READINGS)


def _check_administrations(draft: Draft) -> None:
    for path, row in list(draft.rows("administrations")):
        for name, content in (("rates", "rate"), ("boluses", "dose")):
            for at, segment in list(rows_in(row, name, path)):
                _hold_empty(draft, at, segment, (content,))


def _check_assessments(draft: Draft) -> None:
    for path, row in list(draft.rows("assessments")):
        for at, item in list(rows_in(row, "items", path)):
            _hold_empty(draft, at, item, ANSWER)
        if row.get("status") != "not-done":
            _hold_empty(draft, path, row, ("total", "items"))


def _hold_empty(
    draft: Draft, path: Path, holder: dict[str, Any], contents: tuple[str, ...]
) -> None:
    if any(_says_something(holder.get(name)) for name in contents) or draft.is_wrong(*path):
        return
    names = " or ".join(contents) if len(contents) <= len(SIDES) else "reading"
    draft.hold(path, "R214", f"this holds no {names} that can be used")


def _says_something(value: Json) -> bool:
    if isinstance(value, list):
        return any(item is not None for item in value)
    return value is not None
