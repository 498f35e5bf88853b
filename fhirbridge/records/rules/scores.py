"""Scores: answers and totals that the instrument cannot give. Ranges are data: instruments.json."""

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Draft, Path, rows_in

SUM = "sum"
RANGE = ("min", "max")


def check(draft: Draft) -> None:
    """Hold answers outside their range, then totals out of range or against the answers."""
    for path, row, score in list(_scored(draft)):
        instrument = row.get("instrument")
        if isinstance(instrument, dict):
            limits = _limits(instrument)
            _hold_answers(draft, path, row, limits)
            _hold_total(draft, path, score, row=row, limits=limits)
    for path, row in draft.rows("dissociation"):
        _warn_of_subscales(draft, path, row)


def _scored(draft: Draft) -> Iterator[tuple[Path, dict[str, Any], str]]:
    """Walk what has an instrument: its place, itself, and the name of its score."""
    for part, score in (("assessments", "total"), ("dissociation", "total"), ("sedation", "value")):
        for path, row in draft.rows(part):
            yield path, row, score
    recovery = draft.part("observation_period").get("score")
    if isinstance(recovery, dict):
        yield ("observation_period", "score"), recovery, "total"


def _limits(instrument: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table says of this instrument, version, unit and subscale.

    The record's own min and max stand in where the table says nothing.
    """
    known = vocabulary.read("instruments.json").get(str(instrument.get("key")), {})
    limits = {
        **known,
        **known.get("by_version", {}).get(instrument.get("version"), {}),
        **known.get("by_unit", {}).get(instrument.get("unit"), {}),
    }
    if "subscale" in instrument:
        part = known.get("subscales", {}).get(instrument["subscale"])
        # The range of the whole says nothing of a part.
        whole = {name: limit for name, limit in limits.items() if name not in (*RANGE, "total")}
        limits = {**limits, **part} if part else whole
    own = {name: instrument[name] for name in RANGE if name in instrument and name not in limits}
    if own.get("min", 0) > own.get("max", own.get("min", 0)):
        return limits
    return {**own, **limits}


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


def _hold_total(
    draft: Draft, path: Path, score: str, *, row: dict[str, Any], limits: Mapping[str, Any]
) -> None:
    total = row.get(score)
    if total is None:
        return
    if total < limits.get("min", total) or total > limits.get("max", total):
        draft.hold((*path, score), "R209", f"{score} is outside the range of the instrument")
    elif limits.get("total") == SUM and row.get("items") and not _allowed(total, row, limits):
        text = "total is not the sum of the answers; check both"
        draft.hold((*path, score), "R211", text)


def _allowed(total: int | Decimal, row: dict[str, Any], limits: Mapping[str, Any]) -> bool:
    """Say whether some answer to each missing item gives this total.

    With every item answered that is the sum alone. A prorated total lies between the same ends.
    """
    answers = [item["value"] for _, item in rows_in(row, "items", ()) if "value" in item]
    missing = max(0, limits.get("count", limits["items"]) - len(answers))
    known = sum(answers)
    return bool(
        known + missing * limits["item_min"] <= total <= known + missing * limits["item_max"]
    )


def _warn_of_subscales(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    total = row.get("total")
    parts = [part["value"] for _, part in rows_in(row, "subscales", path) if "value" in part]
    if total is not None and sum(parts) > total:
        text = "the subscales add up to more than the total; check both"
        draft.warn((*path, "subscales"), "R333", text)
