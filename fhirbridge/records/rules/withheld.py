"""What of a record stays in the clinic: a psychotherapy note, whatever row it is.

It is stored and checked like all else, and taken out before anything is translated. Nothing that
leaves may name it, nor a condition that was entered in error as the reason of a dose. Of a home
medication that was entered in error nothing is made either.
"""

from collections.abc import Iterator
from typing import Any

from fhirbridge.records.draft import Draft, Path, Place
from fhirbridge.records.rules import references
from fhirbridge.records.rules.references import ENTERED_IN_ERROR
from fhirbridge.records.source import Json, SourceField

LABEL = "psychotherapy-note"
CONDITIONS = ("conditions",)
NOTES = ("notes",)
# Without their patient, rows belong to nobody: then only whose clinic and which record remains.
WHOLE: tuple[Path, ...] = ((), ("patient",))
IDENTITY = ("schema", "session_id", "version", "recorded_at", "clinic")


def warn(draft: Draft, source: SourceField) -> None:
    """Warn of each row that is kept back, but for notes: the chart has a gap there."""
    for path in _kept(draft, source):
        if path[:1] != NOTES:
            text = "this is labelled psychotherapy-note: it is not sent, and no chart will show it"
            draft.warn(path, "R337", text)


def may_leave(document: dict[str, Any], source: SourceField) -> dict[str, Any]:
    """Return what of a checked record may be translated; the record itself is not changed."""
    if not _holds_back(document):
        return document
    draft = Draft(document)
    kept = _kept(draft, source)
    if any(path in WHOLE for path in kept):
        return {name: document[name] for name in IDENTITY if name in document}
    for path in (*kept, *(path for path, _ in references.words_of_error(draft))):
        draft.blank(path)
    for place in [*references.lost(draft, source), *_wrong_reasons(draft, source)]:
        draft.blank(place.path)
    return draft.finish()


def _kept(draft: Draft, source: SourceField) -> list[Path]:
    """List the rows that stay, the outermost only."""
    found: list[Path] = []
    for place in draft.walk(source):
        path = place.path
        if _stays(place.value) and not any(path[: len(outer)] == outer for outer in found):
            found.append(path)
    return found


def _stays(row: Json) -> bool:
    return isinstance(row, dict) and (
        LABEL in (row.get("labels") or ()) or row.get("psychotherapy") is True
    )


def _holds_back(value: Json) -> bool:
    """Say whether there is anything to take out: most records have nothing."""
    if isinstance(value, dict):
        words = (value.get("status"), value.get("verification_status"))
        wrong = _stays(value) or ENTERED_IN_ERROR in words
        return wrong or any(_holds_back(inner) for inner in value.values())
    return isinstance(value, list) and any(_holds_back(inner) for inner in value)


def _wrong_reasons(draft: Draft, source: SourceField) -> Iterator[Place]:
    wrong = {
        row["id"]
        for _, row in draft.rows("conditions")
        if row.get("verification_status") == ENTERED_IN_ERROR
    }
    for place in draft.walk(source):
        if place.field.refers == CONDITIONS and place.value in wrong:
            yield place
