"""Scores: answers and totals that the instrument cannot give. Ranges are data: instruments.json."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Draft, Path, rows_in

SUM = "sum"


def check(draft: Draft) -> None:
    """Hold answers outside their range, then totals out of range or against the answers."""
    for path, row in draft.rows("assessments"):
        instrument = row.get("instrument")
        if isinstance(instrument, dict):
            limits = vocabulary.read("instruments.json").get(str(instrument.get("key")), {})
            _hold_answers(draft, path, row, limits)
            _hold_total(draft, path, row, _with_own_range(limits, instrument))


def _hold_answers(draft: Draft, path: Path, row: dict[str, Any], limits: Mapping[str, Any]) -> None:
    items = list(rows_in(row, "items", path))
    numbers = Counter(item.get("number") for _, item in items)
    for at, item in items:
        number, value = item.get("number"), item.get("value")
        if "items" in limits and number is not None and number > limits["items"]:
            draft.hold(at, "R212", "this instrument has no item of that number")
        elif number is not None and numbers[number] > 1:
            draft.hold(at, "R213", "two answers have the same item number; both cannot be true")
        elif value is not None and "absent_reason" in item:
            draft.hold(
                at, "R205", "the answer has a value and an absent_reason; only one can be true"
            )
        elif value is not None and "items" in limits and not _fits(value, limits):
            least, most = limits["item_min"], limits["item_max"]
            draft.hold(at, "R208", f"the answer is not a whole number from {least} to {most}")


def _fits(value: int | Decimal, limits: Mapping[str, Any]) -> bool:
    return value % 1 == 0 and bool(limits["item_min"] <= value <= limits["item_max"])


def _hold_total(draft: Draft, path: Path, row: dict[str, Any], limits: Mapping[str, Any]) -> None:
    total = row.get("total")
    if total is None:
        return
    if total < limits.get("min", total) or total > limits.get("max", total):
        draft.hold((*path, "total"), "R209", "total is outside the range of the instrument")
    elif limits.get("total") == SUM and row.get("items") and not _allowed(total, row, path, limits):
        text = "total is not the sum of the answers; check both"
        draft.hold((*path, "total"), "R211", text)


def _allowed(
    total: int | Decimal, row: dict[str, Any], path: Path, limits: Mapping[str, Any]
) -> bool:
    """Say whether some answer to each missing item gives this total.

    With every item answered that is the sum alone. A prorated total lies between the same ends.
    """
    answers = [item["value"] for _, item in rows_in(row, "items", path) if "value" in item]
    missing = limits["items"] - len(answers)
    known = sum(answers)
    return bool(
        known + missing * limits["item_min"] <= total <= known + missing * limits["item_max"]
    )


def _with_own_range(limits: Mapping[str, Any], instrument: Mapping[str, Any]) -> dict[str, Any]:
    """Let the record's own min and max stand in for an instrument that is not in the table."""
    own = {
        name: instrument[name]
        for name in ("min", "max")
        if name in instrument and name not in limits
    }
    if own.get("min", 0) > own.get("max", own.get("min", 0)):
        return dict(limits)
    return {**own, **limits}
