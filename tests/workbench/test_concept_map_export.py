"""The ConceptMaps of the shipped set as FHIR resources."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fhirbridge.cli.mapping_reports import export
from fhirbridge.fhir import codec, validate
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from fhirbridge.workbench import concept_map_resources, sign_off, sign_off_page

ROOT = Path(__file__).parents[2]
SITE = "clinic.example.org"
FILES = mapping_set.read(ROOT / "mappings")


@cache
def made() -> dict[str, dict[str, Any]]:
    return concept_map_resources.resources(sign_off.document(FILES, source_schema()), SITE)


@cache
def compiled() -> MappingSet:
    return mapping_set.compile_set(FILES, source_schema())


NAMES = [name.stem for name in sorted((ROOT / "mappings" / "conceptmaps").glob("*.yaml"))]


def targets(name: str) -> list[dict[str, Any]]:
    groups = made()[f"ConceptMap-{name}.json"]["group"]
    return [target for group in groups for row in group["element"] for target in row["target"]]


def test_every_map_is_exported_and_the_words_that_it_maps_from() -> None:
    assert {f"ConceptMap-{name}.json" for name in NAMES} <= set(made())
    systems = {one["url"] for one in made().values() if one["resourceType"] == "CodeSystem"}
    sources = {g["source"] for one in made().values() for g in one.get("group", [])}
    assert sources == systems


def test_every_resource_is_sound_r4() -> None:
    assert {name: found for name, one in made().items() if (found := validate.problems(one))} == {}


@pytest.mark.parametrize("name", NAMES)
def test_r4_rules_of_a_concept_map_are_kept(name: str) -> None:
    for target in targets(name):
        # cmd-1: narrower and inexact need a comment; what is unmatched has no code.
        needs = target["equivalence"] in ("narrower", "inexact", "unmatched")
        assert target.get("comment") or not needs
        assert ("code" in target) is (target["equivalence"] != "unmatched")


@pytest.mark.parametrize("name", NAMES)
def test_every_word_is_mapped_or_said_to_have_no_code(name: str) -> None:
    groups = made()[f"ConceptMap-{name}.json"]["group"]

    mapped = {row["code"] for group in groups for row in group["element"]}
    assert mapped == set(compiled().maps[name].rows)


def test_the_site_stands_in_the_url_and_a_draft_says_so() -> None:
    route = made()["ConceptMap-route.json"]

    assert route["url"] == f"https://{SITE}/ConceptMap/route"
    assert route["status"] == "draft"
    assert "not signed off" in route["title"]


def test_what_has_no_code_is_unmatched() -> None:
    groups = made()["ConceptMap-route.json"]["group"]
    bare = [group for group in groups if "target" not in group]

    assert [row["code"] for group in bare for row in group["element"]] == ["transdermal"]


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        ("error", None),
        ("omit", None),
        ("text-only", {"mode": "provided"}),
        ("{use: snomed#26643006}", {"mode": "fixed", "code": "26643006", "display": "Oral route"}),
    ],
)
def test_what_becomes_of_another_word_is_said_as_r4_can_say_it(
    written: str, mode: dict[str, str] | None
) -> None:
    name = "conceptmaps/route.yaml"
    text = FILES.by_name[name].decode().replace("unmapped: error", f"unmapped: {written}")
    files = replace(FILES, by_name={**FILES.by_name, name: text.encode()})

    document = sign_off.document(files, source_schema())
    route = concept_map_resources.resources(document, SITE)["ConceptMap-route.json"]

    assert route["group"][0].get("unmapped") == mode
    assert validate.problems(route) == []
    assert "A word that is in no row: " in sign_off_page.page(document)


def test_the_command_writes_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b"):
        arguments = [str(ROOT / "mappings"), "--output", str(tmp_path / name)]
        assert CliRunner().invoke(export, arguments).exit_code == 0

    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert all(codec.decode(raw)["id"] for raw in first.values())
