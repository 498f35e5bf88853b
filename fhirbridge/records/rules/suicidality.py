"""Where a record tells of thoughts of suicide. Thresholds are data: bounds.json."""

from collections.abc import Iterator, Mapping
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Path, row_of, rows_in
from fhirbridge.records.rules import given

OVER = ("resolved", "inactive", "remission")


def places(document: dict[str, Any], *, at_discharge: bool) -> Iterator[Path]:
    """Yield where a positive answer, an event or a condition of it is written down."""
    rule = _rule()
    for path, row in rows_in(document, "assessments", ()):
        known = rule["instruments"].get(_key(row.get("instrument")))
        if known and _is_positive(row, known, rule["words"], at_discharge=at_discharge):
            yield path
    for path, row in rows_in(document, "adverse_events", ()):
        if given.is_of(row, "event", *rule["events"]):
            yield path
    for path, row in rows_in(document, "conditions", ()):
        if given.is_of(row, "code", *rule["conditions"]) and _is_present(row):
            yield path


def rows(document: dict[str, Any]) -> frozenset[str]:
    """Name the rows that must not get stuck unseen, such as `assessments/a-1`."""
    return frozenset(row_of(document, path) for path in places(document, at_discharge=True))


def may_be_held(document: dict[str, Any], held_rows: frozenset[str]) -> bool:
    """Say whether a held element may have been a positive answer of such a screen."""
    there = {row_of(document, path): row for path, row in rows_in(document, "assessments", ())}
    return any(
        # What is not there any more was held as a whole, and nobody knows what it was.
        name not in there or _hides(there[name])
        for name in held_rows
        if name.startswith("assessments/")
    )


def _hides(row: dict[str, Any]) -> bool:
    rule = _rule()["instruments"].get(_key(row.get("instrument")))
    if rule is None:
        return False
    asked = [
        item for _, item in rows_in(row, "items", ()) if item.get("number") == rule.get("item")
    ]
    return not any("value" in item or "text" in item for item in asked)


def _rule() -> Mapping[str, Any]:
    rule: Mapping[str, Any] = vocabulary.read("bounds.json")["suicidality"]
    return rule


def _key(instrument: object) -> str:
    return str(instrument.get("key", "")) if isinstance(instrument, dict) else ""


def _is_present(row: Mapping[str, Any]) -> bool:
    past = row.get("role") == "history" or row.get("clinical_status") in OVER
    return not past and row.get("verification_status") not in ("refuted", "entered-in-error")


def _is_positive(
    row: dict[str, Any], rule: Mapping[str, Any], words: Mapping[str, int], *, at_discharge: bool
) -> bool:
    least = rule["least_at_discharge" if at_discharge else "least"]
    items = [item for _, item in rows_in(row, "items", ())]
    wanted = [item for item in items if item.get("number") == rule.get("item", item.get("number"))]
    scores = [_score(item, words, otherwise=least) for item in wanted]
    if "item" not in rule:
        scores.append(row.get("total"))
    return any(score is not None and score >= least for score in scores)


def _score(item: Mapping[str, Any], words: Mapping[str, int], *, otherwise: int) -> Any:
    """Return the answer as a number; words that nobody knows may mean yes."""
    if "value" in item or "text" not in item:
        return item.get("value")
    return words.get(str(item["text"]).strip().rstrip(".!").lower(), otherwise)
