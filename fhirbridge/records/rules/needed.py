"""Fields that other fields make necessary, or whose absence is worth a word."""

from fhirbridge.records.draft import Draft, Path


def check(draft: Draft) -> None:
    """Refuse a visit without its class; warn where a reason, a signature or a range is missing."""
    visit = draft.part("visit")
    between = visit.get("kind") == "between-visit"
    if (
        visit.get("kind")
        and "class" not in visit
        and not between
        and not draft.is_wrong("visit", "class")
    ):
        draft.refuse(
            ("visit", "class"), "R101", "class is required for every visit but one between visits"
        )
    for path, row in draft.rows("administrations"):
        if row.get("status") == "not-done" and "status_reason" not in row:
            draft.warn(path, "R320", "this dose was not given and no status_reason says why")
    for path, row in draft.rows("consents"):
        if row.get("status") == "active" and "signed_at" not in row:
            draft.warn(path, "R321", "this consent is active and no signed_at says since when")
    for path, row in draft.rows("assessments"):
        _ask_for_range(draft, path, row.get("instrument"))


def _ask_for_range(draft: Draft, path: Path, instrument: object) -> None:
    if (
        isinstance(instrument, dict)
        and "key" not in instrument
        and not {"min", "max"} <= set(instrument)
    ):
        text = "an instrument without a key should say its min and max; its total cannot be checked"
        draft.warn((*path, "instrument"), "R322", text)
