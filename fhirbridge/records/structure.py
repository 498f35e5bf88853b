"""The first look at a record: fields, types and words, by the marshmallow schema, as findings."""

import re
from collections.abc import Iterator

from marshmallow import Schema, ValidationError

from fhirbridge.records import vocabulary
from fhirbridge.records.draft import Draft, Path, value_at
from fhirbridge.records.source import Json, SourceField

SUGGESTIONS = 50  # comparing words is slow; past this many nobody reads them
ERROR_LIMIT = 1000
SHOWN_WORDS = 12
OF_THE_OBJECT = "_schema"
UNKNOWN_FIELD, UNKNOWN_WORD, UNKNOWN_KEY = "R105", "R106", "R107"

# Only a name that looks like a field is repeated back: a sender's key may hold anything.
_FIELD_NAME = re.compile(r"[A-Za-z_]\w{0,40}", re.ASCII)


def check(draft: Draft, form: Schema, source: SourceField) -> None:
    """Refuse whatever the schema refuses, and blank it."""
    refusals = list(_refusals(_complaints(draft.sent, form), ()))
    for number, (path, refusal) in enumerate(refusals[:ERROR_LIMIT]):
        code, _, text = refusal.partition(" ")
        hint = _way_out(code, path, draft.sent, source) if number < SUGGESTIONS else ""
        if code == UNKNOWN_FIELD and not _FIELD_NAME.fullmatch(str(path[-1])):
            draft.refuse(path[:-1], code, "has a field whose name is not known", blank=path)
        else:
            draft.refuse(path, code, f"{_name(path)} {text}{hint}")
    if len(refusals) > ERROR_LIMIT:
        text = f"the record has more than {ERROR_LIMIT} errors; the rest is not listed"
        draft.refuse((), "R199", text)
    for path, _ in refusals[ERROR_LIMIT:]:
        draft.blank(path)


def _complaints(sent: Json, form: Schema) -> Json:
    """Return marshmallow's messages, nested as the record is."""
    try:
        form.load(sent)
    except ValidationError as error:
        return error.messages
    return {}


def _refusals(found: Json, path: Path) -> Iterator[tuple[Path, str]]:
    """Flatten marshmallow's nested messages."""
    if isinstance(found, dict):
        for step, below in found.items():
            yield from _refusals(below, path if step == OF_THE_OBJECT else (*path, step))
    else:
        for text in found:
            yield path, text


def _way_out(code: str, path: Path, sent: Json, source: SourceField) -> str:
    """Name the nearest known word, or the few words there are."""
    if code == UNKNOWN_FIELD:
        near = vocabulary.nearest(path[-1], _field_at(source, path[:-1]).fields)
        return f"; did you mean '{near}'?" if near else ""
    if code not in (UNKNOWN_WORD, UNKNOWN_KEY):
        return ""
    field = _field_at(source, path)
    known = field.values or vocabulary.keys(field.table)
    near = vocabulary.nearest(value_at(sent, path), known)
    if near:
        return f"; did you mean '{near}'?"
    if code == UNKNOWN_KEY:
        return "; send it as text, or with its own system and code"
    return f"; use {', '.join(known)}" if len(known) <= SHOWN_WORDS else ""


def _field_at(source: SourceField, path: Path) -> SourceField:
    for step in path:
        below = source.item if isinstance(step, int) else source.fields.get(step)
        if below is None:
            raise LookupError(step)
        source = below
    return source


def _name(path: Path) -> str:
    """Name the field of a path as people say it: the last word that is not a number."""
    return next((step for step in reversed(path) if isinstance(step, str)), "the record")
