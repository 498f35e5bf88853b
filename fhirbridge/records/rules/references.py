"""Ids: no two rows of one list share one, and every id that is named is there."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from fhirbridge.records.draft import Draft, Path, Place
from fhirbridge.records.source import Json, SourceField

ANY_ROW = "*"
ENTERED_IN_ERROR = "entered-in-error"
# Of these the patient has one over all visits: that a visit calls it wrong is a word about it.
SHARED = ("medications_current",)
SHORTEST_ID = 4  # a shorter one stands in other ids by chance
# A consent or a condition keeps its row: what was taken back must stay known.
RETRACTABLE = (
    "medications_current", "labs", "procedures", "orders", "administrations", "waste", "vitals",
    "assessments", "sedation", "dissociation", "adverse_events", "contacts",
)  # fmt: skip


def take_back(draft: Draft, parts: tuple[str, ...] = RETRACTABLE) -> set[tuple[str, str]]:
    """Take rows out whose status is entered-in-error; return their (part, id).

    To what was sent of them before, that is as if they were no longer there: it is retracted.
    """
    gone: set[tuple[str, str]] = set()
    for part in parts:
        for path, row in list(draft.rows(part)):
            if row.get("status") == ENTERED_IN_ERROR:
                gone.add((part, str(row.get("id"))))
                draft.blank(path)
    return gone


def words_of_error(draft: Draft) -> list[tuple[Path, dict[str, Any]]]:
    """Return what stays of rows that visits share and that are entered in error: which they are."""
    return [
        (path, {name: row[name] for name in ("id", "as_of", "status") if name in row})
        for part in SHARED
        for path, row in draft.rows(part)
        if row.get("status") == ENTERED_IN_ERROR
    ]


def check(draft: Draft, source: SourceField, taken_back: set[tuple[str, str]]) -> None:
    """Refuse ids that are there twice, and references that lead nowhere or to a row taken back."""
    places = draft.walk(source)
    for place in places:
        if place.field.kind == "list":
            _refuse_doubles(draft, place)
    ids = _ids_by_part(places)
    for place in places:
        if place.field.refers:
            _refuse_dangling(draft, place, ids, taken_back)


def drop_held(draft: Draft, source: SourceField) -> None:
    """Hold references to rows that were held, so that later steps find every row that is named."""
    for place in lost(draft, source):
        if draft.knows_rows_of(place.field.refers):
            name = _name(place.path)
            draft.hold(
                place.path, "R220", f"{name} names a row that is held itself; mend that row first"
            )


def lost(draft: Draft, source: SourceField) -> list[Place]:
    """List the references that name no row."""
    places = draft.walk(source)
    ids = _ids_by_part(places)
    return [place for place in places if place.field.refers and not _known(place, ids)]


def warn_of_patient_ids(draft: Draft, source: SourceField) -> None:
    """Warn once where the id of a row holds the patient's id: patients merge, rows must not."""
    patient = str(draft.part("patient").get("id", ""))
    if len(patient) < SHORTEST_ID:
        return
    holds = re.compile(rf"(?<![A-Za-z0-9]){re.escape(patient)}(?![A-Za-z0-9])")
    for place in draft.walk(source):
        row_id = place.value.get("id") if place.field.kind == "object" else None
        if place.path == ("patient",) or not isinstance(row_id, str):
            continue
        if holds.search(row_id):
            text = "id holds the patient's id; when patients are merged this row would be lost"
            draft.warn((*place.path, "id"), "R336", text)
            return


def _refuse_doubles(draft: Draft, place: Place) -> None:
    rows = [row for row in place.value if isinstance(row, dict) and isinstance(row.get("id"), str)]
    counts = Counter(row["id"] for row in rows)
    for index, row in enumerate(place.value):
        if isinstance(row, dict) and counts[row.get("id")] > 1:
            text = "id stands on more than one row of this list; give each row its own"
            draft.refuse((*place.path, index, "id"), "R114", text)


def _ids_by_part(places: Iterable[Place]) -> Mapping[str, Counter[str]]:
    found: dict[str, Counter[str]] = {ANY_ROW: Counter()}
    for place in places:
        row = place.value
        if (
            place.field.kind == "object"
            and isinstance(row, dict)
            and isinstance(row.get("id"), str)
        ):
            found[ANY_ROW][row["id"]] += 1
            found.setdefault(_part(place.path), Counter())[row["id"]] += 1
    return found


def _part(path: Path) -> str:
    """Name the part whose row a path leads to: "staff", "patient", "administrations.rates"."""
    return ".".join(step for step in path if isinstance(step, str))


def _refuse_dangling(
    draft: Draft, place: Place, ids: Mapping[str, Counter[str]], taken_back: set[tuple[str, str]]
) -> None:
    if _known(place, ids) or not draft.knows_rows_of(place.field.refers):
        return
    name, parts = _name(place.path), place.field.refers
    if any(row_id == place.value and _matches(part, parts) for part, row_id in taken_back):
        text = f"{name} names a row that is entered in error; take the reference out as well"
    elif parts == (ANY_ROW,):
        text = f"{name} must name the id of exactly one row of this record"
    else:
        text = f"{name} names no row of {' or '.join(parts)} in this record"
    draft.refuse(place.path, "R115", text)


def _known(place: Place, ids: Mapping[str, Counter[str]]) -> bool:
    counts = [ids[part][place.value] for part in place.field.refers if part in ids]
    if place.field.refers == (ANY_ROW,):
        return counts == [1]
    return any(counts)


def _matches(part: str, parts: tuple[str, ...]) -> bool:
    return part in parts or parts == (ANY_ROW,)


def _name(path: Path) -> Json:
    return next(step for step in reversed(path) if isinstance(step, str))
