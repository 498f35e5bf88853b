"""A psychotherapy note stays in the clinic, whichever row has the label: over generated records."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate.values import Translation
from fhirbridge.workbench.rehearsal import rehearse
from tests.golden import translating
from tests.golden.translating import Json, bodies, only
from tests.prove import corpus

LABEL = "psychotherapy-note"
CANARY = "Whispered canary"
ALONE = ("patient", "")  # of these no rest could be sent: then nothing is
FREE = {
    "note", "text", "summary", "why", "what", "title", "description", "why_stopped", "precautions",
    "transport", "as_needed_for", "name", "value", "line", "device", "lot", "recipient",
    "credentials", "city", "reason", "outcome",
}  # fmt: skip


def labelled(value: Any, field: SourceField, path: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every object of a record that may have labels, with its part."""
    if field.kind == "object":
        if "labels" in field.fields:
            yield path, value
        for name, below in field.fields.items():
            if name in value:
                yield from labelled(value[name], below, f"{path}.{name}".strip("."))
    elif field.item is not None and isinstance(value, list):
        for row in value:
            yield from labelled(row, field.item, path)


def whisper(row: Json, field: SourceField) -> None:
    """Write the canary wherever this row may hold words of a person."""
    for name, below in field.fields.items():
        if {"system", "code", "text"} <= below.fields.keys():
            if name in row:
                row[name] = {"text": CANARY}
        elif name in FREE and below.kind == "string" and not (below.values or below.table):
            row[name] = CANARY
        elif name in row and below.kind == "object":
            whisper(row[name], below)
        elif name in row and below.item is not None and below.item.kind == "object":
            for inner in row[name]:
                whisper(inner, below.item)


def field_at(path: str) -> SourceField:
    field = source_schema()
    for name in filter(None, path.split(".")):
        field = field.fields[name]
        field = field.item or field
    return field


def translated(sent: Json) -> Translation:
    return rehearse(schema.load(codec.encode(sent)).document, corpus.compiled(traced=False))


def words_of(found: Translation) -> str:
    notes = [translating.note_of(body) for body in bodies(found, "session-note")]
    return translating.sent_bytes(found).decode() + "".join(notes)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.data())
def test_no_word_of_a_row_with_the_label_is_in_anything_that_is_made(
    number: int, data: st.DataObject
) -> None:
    sent = corpus.record(number)
    rows = [one for one in labelled(sent, source_schema()) if one[0] not in ALONE]
    assume(rows)  # a record that takes its visit back has none
    part = data.draw(st.sampled_from(sorted({path for path, _ in rows})))
    row = data.draw(st.sampled_from([row for path, row in rows if path == part]))
    whisper(row, field_at(part))
    row["labels"] = [LABEL]

    found = translated(sent)

    assert found.problems == ()
    assert CANARY not in words_of(found)


PARTS = sorted(
    {path for path, _ in labelled(translating.sample(translating.WHOLE), source_schema())}
)


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ALONE])
def test_each_part_of_the_record_keeps_its_labelled_rows(part: str) -> None:
    sent = translating.sample(translating.WHOLE)
    for path, row in labelled(sent, source_schema()):
        if path == part:
            whisper(row, field_at(part))
            row["labels"] = [LABEL]

    found = translated(sent)

    assert found.problems == ()
    assert CANARY not in words_of(found)


def test_what_is_whispered_would_be_heard() -> None:
    heard = set()
    for part in PARTS:
        sent = translating.sample(translating.WHOLE)
        for path, row in labelled(sent, source_schema()):
            if path == part != "":
                whisper(row, field_at(part))
        if CANARY in words_of(translated(sent)):
            heard.add(part)

    # Of two, only numbers and times leave anyway; a consent whose recipient is whispered is for
    # one recipient, and goes nowhere.
    assert set(PARTS) - heard == {
        "", "administrations.rates", "administrations.boluses", "consents",
    }  # fmt: skip


@pytest.mark.parametrize("part", ALONE)
def test_of_a_record_or_a_patient_with_the_label_nothing_is_made(part: str) -> None:
    sent = translating.sample(translating.WHOLE)
    row = sent[part] if part else sent
    row["labels"] = [LABEL]

    found = translated(sent)

    assert found.problems == ()
    assert found.resources == ()


def test_nothing_points_to_a_row_that_stays() -> None:
    def keep(sent: Json) -> None:
        sent["conditions"][0]["labels"] = [LABEL]
        sent["orders"][0]["labels"] = [LABEL]
        sent["staff"][0]["labels"] = [LABEL]

    sent = translating.sample(translating.FIRST_VISIT)
    before = translating.translate(sent)
    found = translating.changed(keep)

    gone = {made.id for made in before.resources} - {made.id for made in found.resources}
    assert len(gone) >= 3
    assert not [own for own in gone if own.encode() in translating.sent_bytes(found)]


def test_a_dose_loses_the_reason_that_was_entered_in_error() -> None:
    def take_back(sent: Json) -> None:
        sent["conditions"][0]["verification_status"] = "entered-in-error"

    found = translating.changed(take_back)

    condition = only(found, "condition")
    for made in found.resources:
        assert f"Condition/{condition['id']}" not in translating.pretty(made.body), made.mapping
