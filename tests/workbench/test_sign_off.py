"""What a clinician signs is made from what is sent."""

import csv
import io
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from fhirbridge.cli.mapping_reports import doc
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.written import Part
from fhirbridge.workbench import sign_off, sign_off_csv, sign_off_page
from fhirbridge.workbench.sign_off import Document, MappingSheet

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mappings.html"


@cache
def document() -> Document:
    return sign_off.document(mapping_set.read(ROOT / "mappings"), source_schema())


@cache
def page() -> str:
    return sign_off_page.page(document())


def sheet(name: str) -> MappingSheet:
    return next(one for one in document().mappings if one.sheet.name == name)


def rows() -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(sign_off_csv.text(document()))))


def test_the_page_in_the_documentation_is_what_the_mappings_say_now() -> None:
    same = PAGE.read_text(encoding="utf-8") == page()

    assert same, "docs/mappings.html is out of date: run `make docs`"


def test_every_mapping_file_and_every_table_has_its_sheet() -> None:
    listed = {one.sheet.file for one in document().mappings}
    maps = {one.sheet.file for one in document().maps}

    assert listed == {f"resources/{p.name}" for p in (ROOT / "mappings/resources").glob("*.yaml")}
    assert maps == {f"conceptmaps/{p.name}" for p in (ROOT / "mappings/conceptmaps").glob("*")}


def test_a_rule_says_its_source_its_element_its_code_and_where_that_was_seen() -> None:
    weight = sheet("vital-weight")
    value = next(rule for rule in weight.rules if rule.path == "Observation.valueQuantity")
    code = next(rule for rule in weight.rules if rule.path == "Observation.code")

    assert value.sources == ("vitals.weight",)
    assert value.text.startswith("= iif(v.weight.unit = 'oz', ")
    assert value.line.startswith("resources/vital-weight.yaml:")
    assert [row.words for row in code.codes] == ["loinc 29463-7 Body Weight"]
    assert code.codes[0].confidence == "verified twice"


def test_a_constant_that_depends_on_a_condition_shows_the_condition() -> None:
    status = [r for r in sheet("medication-administration").rules if r.text == "not-done"]

    assert any("a.status = 'not-done'" in line for rule in status for line in rule.under)


def test_a_piece_that_several_mappings_use_shows_what_stands_for_its_parameters() -> None:
    rules = sheet("vital-blood-pressure").rules
    quantities = [r for r in rules if r.path == "Observation.component.valueQuantity"]

    assert [rule.sources for rule in quantities] == [
        ("vitals.blood_pressure.systolic",),
        ("vitals.blood_pressure.diastolic",),
    ]
    assert "loinc#8480-6" in quantities[0].under[0]


def test_what_nobody_signed_stays_visible() -> None:
    unsigned = document().unsigned

    assert unsigned > 0
    assert f"{unsigned} files are not signed off" in page()
    assert page().count('<span class="unsigned">') == unsigned


def test_every_code_stands_there_with_its_source_and_its_licence() -> None:
    assert [row.words for row in document().codes if not row.source] == []
    assert [row.words for row in document().codes if not row.license] == []


class _Outline(HTMLParser):
    """Collects what a reader without a screen needs."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.levels: list[int] = []
        self.heads: list[str | None] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.add(tag)
        self.ids += filter(None, [given.get("id")])
        self.links += filter(None, [given.get("href")])
        if tag == "th":
            self.heads.append(given.get("scope"))
        if re.fullmatch(r"h[1-6]", tag):
            self.levels.append(int(tag[1]))


def test_the_page_can_be_read_without_a_screen_and_without_a_network() -> None:
    outline = _Outline()
    outline.feed(page())

    assert '<html lang="en">' in page()
    assert set(outline.heads) == {"col", "row"}
    assert outline.levels[0] == 1
    assert all(b - a <= 1 for a, b in zip(outline.levels, outline.levels[1:], strict=False))
    assert not outline.tags & {"script", "link", "img", "iframe"}
    assert len(outline.ids) == len(set(outline.ids))
    assert [link for link in outline.links if link[1:] not in outline.ids] == []


def test_no_cell_of_the_spreadsheet_is_a_formula() -> None:
    cells = [cell for row in rows() for cell in row.values()]

    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    assert any(cell.startswith("'= ") for cell in cells)


def test_the_spreadsheet_has_one_row_for_each_element() -> None:
    compiled = mapping_set.load(ROOT / "mappings", source_schema())
    written = [one for one in compiled.written if one.part is Part.ELEMENT]
    listed = [row for row in rows() if row["kind"] == "element"]

    assert len(written) > 500
    assert {(one.mapping, one.line) for one in written} <= {(r["name"], r["line"]) for r in listed}


def test_two_runs_give_equal_bytes() -> None:
    again = sign_off.document(mapping_set.read(ROOT / "mappings"), source_schema())

    assert sign_off_page.page(again) == page()
    assert sign_off_csv.text(again) == sign_off_csv.text(document())


@pytest.mark.parametrize("form", ["html", "csv"])
def test_the_command_writes_a_file(tmp_path: Path, form: str) -> None:
    output = tmp_path / f"x.{form}"
    arguments = [str(ROOT / "mappings"), "--format", form, "--output", str(output)]

    done = CliRunner().invoke(doc, arguments)

    assert done.exit_code == 0
    assert output.read_bytes().startswith(b"<!DOCTYPE" if form == "html" else b"kind,")
