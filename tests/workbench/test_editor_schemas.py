"""The schemas for editors fit the mapping files that there are."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from fhirbridge.cli.mapping_reports import schema_command
from fhirbridge.fhir import codec
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import editor_schemas

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "mappings" / "schema"
RESOURCES = sorted((ROOT / "mappings" / "resources").glob("*.yaml"))
LARGEST = 300_000


@cache
def made() -> dict[str, bytes]:
    sets = mapping_set.compile_all(mapping_set.read(ROOT / "mappings"), source_schema())
    return editor_schemas.schemas(m.target for one in sets.values() for m in one.mappings)


@cache
def read(name: str) -> Any:
    return codec.decode(made()[name])


def definition(reference: str, file: str) -> tuple[Any, str]:
    name, _, path = reference.partition("#/definitions/")
    return read(name or file)["definitions"][path], name or file


def takes(schema: Any, value: Any, file: str) -> bool:
    """Say whether a value fits: the part of JSON Schema that these files use."""
    if "$ref" in schema:
        return takes(*_swapped(definition(schema["$ref"], file), value))
    if "anyOf" in schema and not any(takes(one, value, file) for one in schema["anyOf"]):
        return False
    return all(
        check(schema[key], schema, value, file) for key, check in _CHECKS.items() if key in schema
    )


def _swapped(found: tuple[Any, str], value: Any) -> tuple[Any, Any, str]:
    return found[0], value, found[1]


def _has_type(wanted: Any, _: Any, value: Any, __: str) -> bool:
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
        "boolean": bool,
    }
    return any(
        isinstance(value, kinds[one]) for one in ([wanted] if isinstance(wanted, str) else wanted)
    )


def _has_properties(wanted: Any, schema: Any, value: Any, file: str) -> bool:
    if not isinstance(value, dict):
        return True
    for key, inner in value.items():
        if key in wanted:
            if not takes(wanted[key], inner, file):
                return False
        elif schema.get("additionalProperties") is False and not (
            "patternProperties" in schema and key.startswith("_")
        ):
            return False
    return True


_CHECKS: dict[str, Any] = {
    "type": _has_type,
    "properties": _has_properties,
    "enum": lambda wanted, _s, value, _f: value in wanted,
    "const": lambda wanted, _s, value, _f: value == wanted,
    "pattern": lambda wanted, _s, value, _f: bool(re.search(wanted, str(value))),
    "required": lambda wanted, _s, value, _f: (
        not isinstance(value, dict) or set(wanted) <= set(value)
    ),
    "items": lambda wanted, _s, value, file: (
        not isinstance(value, list) or all(takes(wanted, item, file) for item in value)
    ),
}


def schema_name(text: str) -> str:
    found = re.search(r"^target: (\w+)$", text, re.MULTILINE)
    assert found
    return f"{found[1]}.schema.json"


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_every_mapping_of_the_set_fits_its_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    name = schema_name(text)

    assert takes(read(name), yaml.safe_load(text), name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("valueQuantity:", "valueQuantty:"),
        ("scope: visit", "scope: visits"),
        ("reviewed:", "reviewd:"),
        ("code: loinc#29463-7", "code: 29463-7"),
        ("target: Observation", "target: Patient"),
    ],
)
def test_a_slip_does_not_fit(old: str, new: str) -> None:
    text = (ROOT / "mappings/resources/vital-weight.yaml").read_text(encoding="utf-8")
    assert old in text

    assert not takes(
        read("Observation.schema.json"),
        yaml.safe_load(text.replace(old, new)),
        "Observation.schema.json",
    )


def test_required_codes_are_offered() -> None:
    status = read("Observation.schema.json")["properties"]["resource"]["anyOf"][0]["properties"][
        "status"
    ]

    assert "entered-in-error" in status["anyOf"][0]["enum"]
    assert status["description"] == "code 1..1"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.parametrize("name", sorted(made()))
def test_every_reference_leads_somewhere(name: str) -> None:
    for reference in references(read(name)):
        assert definition(reference, name)


def test_the_schemas_in_the_repository_are_those_of_the_mappings() -> None:
    kept = {path.name: path.read_bytes() for path in FOLDER.glob("*")}

    assert kept == made(), "mappings/schema is out of date: run `make docs`"
    assert sum(map(len, kept.values())) < LARGEST


@pytest.mark.parametrize("path", RESOURCES, ids=lambda path: path.stem)
def test_every_mapping_file_names_its_schema_in_its_first_line(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.splitlines()[0] == f"# yaml-language-server: $schema=../schema/{schema_name(text)}"


def test_the_command_writes_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(schema_command, [str(ROOT / "mappings"), "--output", str(tmp_path)])

    assert done.exit_code == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == made()
