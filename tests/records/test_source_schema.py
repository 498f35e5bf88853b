import subprocess
import sys
from collections.abc import Iterator

import pytest

from fhirbridge.records import vocabulary
from fhirbridge.records.json_schema import json_schema
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema
from tests.records.visits import SAMPLES, a_visit


def every_field(field: SourceField, path: str = "") -> Iterator[tuple[str, SourceField]]:
    yield path, field
    for name, child in field.fields.items():
        yield from every_field(child, f"{path}.{name}")
    if field.item:
        yield from every_field(field.item, f"{path}[]")


def at(path: str) -> SourceField:
    return dict(every_field(source_schema()))[path]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "object"),
        (".version", "integer"),
        (".administrations[].dose.value", "decimal"),
        (".administrations[].observed", "boolean"),
        (".administrations[].start", "dateTime"),
        (".conditions[].onset", "partialDate"),
        (".plan.start", "date"),
        (".visit.class", "string"),
        (".labels", "list"),
        (".patient.name.given[]", "string"),
    ],
)
def test_a_field_has_the_kind_that_a_mapping_sees(path: str, kind: str) -> None:
    assert at(path).kind == kind


def test_what_the_schema_asks_for_is_required() -> None:
    assert at(".patient.name.family").required
    assert not at(".patient.birth_date").required


def test_a_closed_set_brings_its_words_and_a_coded_field_its_table() -> None:
    assert at(".visit.class").values == ("ambulatory", "emergency", "inpatient", "home")
    assert at(".administrations[].route").table == "route"
    assert at(".assessments[].instrument").table == "instrument"
    assert at(".plan.phases[].kind").values == vocabulary.keys("phase-kind")


def test_a_coded_field_with_a_table_has_a_key_and_one_without_has_none() -> None:
    assert "key" in at(".administrations[].route").fields
    assert "key" not in at(".patient.ethnicity").fields


def test_a_reference_and_a_measure_say_what_they_take() -> None:
    assert at(".administrations[].performer").refers == ("staff", "patient")
    assert at(".vitals[].weight").dimensions == ("mass",)


def test_every_table_that_a_field_names_is_in_the_vocabulary() -> None:
    tables = {field.table for _, field in every_field(source_schema()) if field.table}

    assert tables == set(vocabulary.read("vocabulary.json")) - {"units"}


def test_every_list_of_objects_has_rows_with_ids_but_for_codes() -> None:
    without = [
        path
        for path, field in every_field(source_schema())
        if path.endswith("[]") and field.kind == "object" and "id" not in field.fields
    ]

    assert without == [".patient.race[]"]


def test_a_mapping_compiler_can_read_the_tree_without_marshmallow() -> None:
    program = "import sys, fhirbridge.records.source; print('marshmallow' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert done.stdout.strip() == b"False"


def names(record: object, path: str = "") -> Iterator[str]:
    if isinstance(record, dict):
        for name, value in record.items():
            yield f"{path}.{name}"
            yield from names(value, f"{path}.{name}")
    elif isinstance(record, list):
        for value in record:
            yield from names(value, f"{path}[]")


def test_every_field_of_the_samples_is_in_the_tree() -> None:
    known = {path for path, _ in every_field(source_schema())}
    used = {name for path in SAMPLES for name in names(a_visit(path.name[:2]))}

    assert used <= known


def test_the_json_schema_says_the_same_in_the_words_of_other_tools() -> None:
    schema = json_schema()

    route = schema["properties"]["administrations"]["items"]["properties"]["route"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    asked = {*schema["required"], *schema["else"]["required"]}
    assert asked == {name for name, field in source_schema().fields.items() if field.required}
    assert schema["additionalProperties"] is False
    assert route["properties"]["key"] == {"enum": list(vocabulary.keys("route"))}
    assert route["oneOf"][0] == {"required": ["key"]}
