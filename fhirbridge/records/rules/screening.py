"""The consultation: a screen that is partial says so, and what it says fits the rest.

What was not asked, or was asked without an answer, was not checked. It is never taken as "no".
"""

from collections import Counter
from typing import Any

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Draft, Path, rows_in
from fhirbridge.records.parts.consultation import NOT_CHECKED
from fhirbridge.records.rules import given

PLACE = ("consultation",)


def hold_contradictions(draft: Draft) -> None:
    """Hold answers to one question that differ, but never a yes: without one, nothing is known."""
    asked = _asked(draft)
    answers = Counter(key for key, _ in {(_key(row), row.get("answer")) for _, row in asked})
    for path, row in asked:
        if _key(row) and answers[_key(row)] > 1 and row.get("answer") != "yes":
            draft.hold(path, "R218", "this is asked twice, with different answers")


def warn(draft: Draft) -> None:
    """Warn of what was not checked, and of answers that other parts of the record deny."""
    for path, row in _asked(draft):
        if "answer" not in row:
            draft.warn(path, "R326", "this has no answer; it is shown as not checked")
    _warn_of_partial(draft)
    _warn_of_suitable(draft)
    _warn_of_pregnancy(draft)
    _warn_of_resistance(draft)


def _asked(draft: Draft) -> list[tuple[Path, dict[str, Any]]]:
    return list(rows_in(draft.part("consultation"), "screen", PLACE))


def _key(row: dict[str, Any]) -> str:
    item = row.get("item")
    return str(item.get("key", "")) if isinstance(item, dict) else ""


def _warn_of_partial(draft: Draft) -> None:
    consultation = draft.part("consultation")
    if not {"screen", "suitability"} & consultation.keys():
        return
    checked = {
        _key(row) for _, row in _asked(draft) if row.get("answer", "unknown") not in NOT_CHECKED
    }
    missing = [
        key for key in vocabulary.read("bounds.json")["screen"]["items"] if key not in checked
    ]
    if missing:
        text = f"not checked: {', '.join(missing)}; that is not the same as no"
        draft.warn((*PLACE, "screen"), "R325", text)


def _warn_of_suitable(draft: Draft) -> None:
    suitability = draft.part("consultation").get("suitability")
    decision = suitability.get("decision") if isinstance(suitability, dict) else ""
    found = any(row.get("answer") == "yes" for _, row in _asked(draft))
    if decision == "suitable" and found:
        text = "decision is suitable without precautions, and a contraindication is answered yes"
        draft.warn((*PLACE, "suitability", "decision"), "R327", text)
    given_anyway = [path for path, row in draft.rows("administrations") if _is_study_dose(row)]
    if decision == "unsuitable" and given_anyway:
        draft.warn(given_anyway[0], "R335", "this dose was given to a patient found unsuitable")


def _is_study_dose(row: dict[str, Any]) -> bool:
    return row.get("role") == "study-drug" and row.get("status") in given.GIVEN


def _warn_of_pregnancy(draft: Draft) -> None:
    positive = any(
        given.is_of(row, "kind", "pregnancy-test") and given.is_of(row, "result", "positive")
        for _, row in draft.rows("labs")
    )
    for path, row in _asked(draft):
        if positive and _key(row) == "pregnancy" and row.get("answer") == "no":
            draft.warn(path, "R328", "the answer is no, and a pregnancy test is positive")


def _warn_of_resistance(draft: Draft) -> None:
    rule = vocabulary.read("bounds.json")["resistance"]
    tried = list(rows_in(draft.part("consultation"), "prior_treatments", PLACE))
    failed = [
        row
        for _, row in tried
        if row.get("adequate") is True
        and row.get("kind") in rule["kinds"]
        and row.get("outcome") in rule["failed"]
    ]
    for path, row in draft.rows("conditions"):
        if tried and given.is_of(row, "code", rule["condition"]) and len(failed) < rule["failures"]:
            text = "resistance needs two adequate treatments that failed; fewer are written down"
            draft.warn((*path, "code"), "R329", text)
