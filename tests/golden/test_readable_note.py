"""The readable note: HTML and PDF say the same, and the plot says what the table says."""

import base64
import io
import re
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from pypdf import PdfReader

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.documents import page_tree
from fhirbridge.translate.documents.page_tree import Element
from fhirbridge.translate.mapping_set import MappingSet
from tests.golden import translating
from tests.golden.translating import Json

KINDS = [
    translating.FIRST_VISIT,  # an infusion
    "08-nasal-visit-1.v1",
    translating.WHOLE,
    "vital-crisis",  # in mappings/tests
    "between-visits-scores-from-home",
]


@cache
def with_pdf() -> MappingSet:
    return mapping_set.load(translating.MAPPINGS, source_schema(), "pdf-note")


@cache
def note_of(name: str) -> Json:
    own = translating.MAPPINGS / "tests" / name / "record.json"
    return translated(codec.decode(own.read_bytes()) if own.exists() else translating.sample(name))


def translated(sent: Json) -> Json:
    document = schema.load(codec.encode(sent)).document
    found = engine.translate(document, mapping_set=with_pdf(), site=translating.SITE)
    assert found.problems == ()
    return translating.only(found, "session-note")


def attached(note: Json, kind: str) -> bytes:
    (one,) = [
        content["attachment"]
        for content in note["content"]
        if content["attachment"]["contentType"] == kind
    ]
    return base64.b64decode(one["data"], validate=True)


def html_of(note: Json) -> Element:
    return page_tree.read(attached(note, "text/html").decode("utf-8"))


def pdf_of(note: Json) -> PdfReader:
    return PdfReader(io.BytesIO(attached(note, "application/pdf")))


def printed(page: Element) -> str:
    """All that a reader sees of a page, in its order."""
    parts = [
        one if isinstance(one, str) else printed(one)
        for one in page.children
        if isinstance(one, str) or one.tag not in ("head", "style", "footer")
    ]
    return " ".join(parts)


def letters(text: str) -> str:
    """Lines and columns are broken elsewhere on paper; the letters are the same in their order."""
    return re.sub(r"\s|•|-", "", text)


@pytest.mark.parametrize("name", KINDS)
def test_r65_the_pdf_says_what_the_html_says(name: str) -> None:
    note = note_of(name)
    page = html_of(note)
    foot = "".join(one.text() for one in page.every("footer"))

    on_paper = letters("".join(sheet.extract_text() for sheet in pdf_of(note).pages))

    count = len(pdf_of(note).pages)
    for number in range(1, count + 1):
        on_paper = on_paper.replace(letters(f"Page {number} of {count}"), "")
    for head in page.every("thead"):  # written again on each sheet of its table
        before, own, after = on_paper.partition(letters(head.text()))
        on_paper = before + own + after.replace(own, "")
    assert on_paper.count(letters(foot)) == count
    assert sorted(on_paper.replace(letters(foot), "")) == sorted(letters(printed(page)))


def values_in(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text))


@pytest.mark.parametrize("name", KINDS)
def test_r65_each_value_of_the_record_is_in_both(name: str) -> None:
    note = note_of(name)
    own = translating.MAPPINGS / "tests" / name / "record.json"
    sent = codec.decode(own.read_bytes()) if own.exists() else translating.sample(name)

    on_paper = "\n".join(sheet.extract_text() for sheet in pdf_of(note).pages)

    wanted = {str(one) for row in sent.get("vitals", []) for one in measured(row)}
    wanted |= {str(one["dose"]["value"]) for one in sent.get("administrations", []) if given(one)}
    assert wanted - values_in(on_paper) == set()
    assert wanted - values_in(printed(html_of(note))) == set()


def measured(row: Json) -> list[Decimal]:
    pressure = row.get("blood_pressure", {})
    measures = [row.get("heart_rate"), row.get("spo2"), *pressure.values()]
    return [one["value"] for one in measures if isinstance(one, dict) and "value" in one]


def given(row: Json) -> bool:
    return row["status"] not in ("not-done", "planned") and "value" in row.get("dose", {})


def test_the_note_is_signed_typed_and_kept_by_the_clinic() -> None:
    note = note_of(translating.FIRST_VISIT)

    assert note["docStatus"] == "final"
    assert [one["code"] for one in note["type"]["coding"]] == ["UNK"]
    assert note["author"][0]["reference"].startswith("Practitioner/")
    assert note["custodian"]["reference"].startswith("Organization/")
    assert [one["attachment"]["contentType"] for one in note["content"]] == [
        "text/html",
        "application/pdf",
    ]


def test_only_who_wants_a_pdf_gets_one() -> None:
    plain = translating.translate(translating.sample(translating.FIRST_VISIT))

    note = translating.only(plain, "session-note")

    assert [one["attachment"]["contentType"] for one in note["content"]] == ["text/html"]
    assert {**note_of(translating.FIRST_VISIT), "content": note["content"]} == note


def test_the_pdf_is_small_and_has_nothing_of_the_patient_in_its_metadata() -> None:
    raw = attached(note_of(translating.WHOLE), "application/pdf")

    found = PdfReader(io.BytesIO(raw))

    assert len(raw) < 100_000
    assert found.metadata is not None
    assert set(found.metadata) == {"/Title", "/Producer", "/CreationDate"}
    assert found.metadata.title == "Session note"


def plot_of(note: Json) -> list[str]:
    return [one.text() for svg in html_of(note).every("svg") for one in svg.every("text")]


def test_the_plot_has_the_doses_the_rates_the_pauses_and_the_events() -> None:
    found = plot_of(note_of(translating.WHOLE))

    assert {"34.75 mg", "54.375 mg/h", "54.75 mg/h", "Pause", "Bolus 7.5 mg"} <= set(found)
    assert {"Hypoxaemia", "Nausea", "Rate reduced", "Ketamine", "Ondansetron"} <= set(found)
    assert {"Blood pressure,", "Systolic", "Diastolic", "Heart rate, /min", "SpO₂, %"} <= set(found)


@pytest.mark.parametrize("name", ["between-visits-scores-from-home", "visit-no-show"])
def test_a_note_without_vital_signs_has_no_plot(name: str) -> None:
    assert plot_of(note_of(name)) == []


def test_names_in_other_scripts_are_in_both() -> None:
    sent: dict[str, Any] = translating.sample(translating.FIRST_VISIT)
    sent["patient"]["name"] = {"family": "Synthetic-王", "given": ["小明", "Zoë"]}

    note = translated(sent)

    on_paper = letters("".join(sheet.extract_text() for sheet in pdf_of(note).pages))
    assert letters("Synthetic-王,小明Zoë") in on_paper
    assert "Synthetic-王, 小明 Zoë" in printed(html_of(note))
