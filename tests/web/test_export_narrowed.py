"""R59: an export is narrowed by searches, patients and elements; what is left out is told."""

from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhirbridge.exports import narrowing
from fhirbridge.facade.parameters import TYPES
from fhirbridge.fhir import codec
from tests.factories import a_short_visit
from tests.web.exporting import LENIENT, begun, exported, manifest, named, posted, status_of
from tests.web.fhir_reading import Reader, issue, valid
from tests.web.service import FHIR_BASE, Service

PULSE = "_typeFilter=Observation%3Fcode%3D8867-4"


@pytest.fixture
def reader(service: Service) -> Reader:
    """Two patients stand on the shelf."""
    made = Reader(service)
    made.take(a_short_visit(), a_short_visit(patient="pt-2"))
    return made


def patients(reader: Reader) -> list[str]:
    return [one["resource"]["id"] for one in reader.get("Patient")["entry"]]


def taken(reader: Reader, *parameters: dict[str, Any]) -> list[dict[str, Any]]:
    return exported(reader, reader.get(status_of(posted(reader, "Patient/$export", *parameters))))


def test_r59_a_type_filter_lets_pass_what_the_same_search_finds(chart: Reader) -> None:
    own = chart.patient()
    found = chart.get(f"Observation?patient={own}&code=8867-4&_count=200")["entry"]
    other = chart.get(f"Observation?patient={own}&code=8480-6&_count=200").get("entry", [])

    one = exported(chart, manifest(chart, f"$export?_type=Observation&{PULSE}"))
    both = exported(
        chart,
        manifest(chart, f"$export?_type=Observation,Patient&{PULSE},Observation%3Fcode%3D8480-6"),
    )

    assert named(one) == named([entry["resource"] for entry in found]) != set()
    assert named(both) == named(one) | {f"Patient/{own}"} | named(
        [entry["resource"] for entry in other]
    )


def test_r59_without_types_a_filter_narrows_its_own_alone(chart: Reader) -> None:
    whole = manifest(chart)["output"]

    filtered = manifest(chart, f"$export?{PULSE}")["output"]

    fewer = {one["type"] for one in whole if one not in _bare(filtered)}
    assert {one["type"] for one in filtered} == {one["type"] for one in whole}
    counts = {one["type"]: one["count"] for one in filtered}
    assert {one["type"] for one in whole if counts[one["type"]] < one["count"]} == {"Observation"}
    assert fewer


def _bare(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in one.items() if k != "url"} for one in listed]


def test_r59_by_post_the_same_is_had_as_by_get(reader: Reader) -> None:
    by_get = manifest(reader, f"Patient/$export?_type=Observation&{PULSE}")
    by_post = reader.get(
        status_of(
            posted(
                reader,
                "Patient/$export",
                {"name": "_type", "valueString": "Observation"},
                {"name": "_typeFilter", "valueString": "Observation?code=8867-4"},
            )
        )
    )

    assert exported(reader, by_post) == exported(reader, by_get) != []
    assert by_post["request"] == f"{FHIR_BASE}/Patient/$export"
    assert by_get["request"].endswith(f"?_type=Observation&{PULSE}")


def test_r59_one_patients_chart_is_exported_alone_and_never_anothers(reader: Reader) -> None:
    first, second = patients(reader)

    found = taken(reader, {"name": "patient", "valueReference": {"reference": f"Patient/{second}"}})

    assert f"Patient/{second}" in named(found)
    assert first not in codec.encode(found).decode()
    assert len(found) > 1


def test_safety_03_what_an_export_was_asked_for_is_sealed(reader: Reader) -> None:
    first, _ = patients(reader)
    search = f"Observation?patient={first}"

    status_of(posted(reader, "$export", {"name": "_typeFilter", "valueString": search}))
    status_of(begun(reader, f"$export?_typeFilter=Observation%3Fpatient%3D{first}"))

    with reader.service.bridge._store.read() as tx:
        rows = tx.exec_driver_sql("SELECT * FROM bulk_export").all()
    assert len(rows) == 2
    assert first not in repr(rows)


def test_r59_elements_keep_what_r4_demands_and_say_that_they_are_not_all(chart: Reader) -> None:
    said = manifest(chart, "$export?_elements=code,Patient.name")

    found = exported(chart, said)

    (patient,) = [one for one in found if one["resourceType"] == "Patient"]
    assert patient.keys() <= {"resourceType", "id", "meta", "name", "active"}
    assert patient["name"]
    pulses = [one for one in found if one["resourceType"] == "Observation"]
    assert all({"code", "status"} <= one.keys() for one in pulses)
    assert not any("valueQuantity" in one or "subject" in one for one in pulses)
    for one in found:
        assert narrowing.SUBSETTED in one["meta"]["tag"]
        valid(one)


def is_demanded(extra: Any) -> bool:
    """What fhir.resources says of an element that may be there by an extension alone."""
    return isinstance(extra, dict) and bool(extra.get("element_required"))


def test_r59_no_element_that_r4_demands_can_be_left_out() -> None:
    for kind in TYPES:
        demanded = {
            field.alias or name
            for name, field in get_fhir_model_class(kind).model_fields.items()
            if is_demanded(field.json_schema_extra) or field.is_required()
        }
        assert demanded <= set(narrowing.KEPT[kind])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_typeFilter=Observation%3Fcolour%3Dred", "not-supported"),
        ("_typeFilter=Unheard%3Fcode%3D1", "not-supported"),
        ("_typeFilter=Observation", "invalid"),
        ("_typeFilter=Observation%3Fcode%3D1%26_count%3D5", "not-supported"),
        ("_typeFilter=Observation%3Fdate%3Dsoon", "invalid"),
        (f"_type=Patient&{PULSE}", "not-supported"),
        ("_elements=Unheard.name", "invalid"),
        ("_elements=name.family", "invalid"),
        ("_elements=,", "invalid"),
        ("patient=Patient/1", "not-supported"),
        ("organizeOutputBy=Patient", "not-supported"),
        ("includeAssociatedData=LatestProvenanceResources", "not-supported"),
    ],
)
def test_r59_what_cannot_narrow_is_refused(chart: Reader, query: str, expected: str) -> None:
    assert issue(begun(chart, f"$export?{query}")) == (400, expected)


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("$export", {"name": "patient", "valueReference": {"reference": "Patient/1"}}),
        ("Patient/$export", {"name": "patient", "valueReference": {"reference": "Patient/1"}}),
        ("Patient/$export", {"name": "patient", "valueReference": {"reference": "Group/1"}}),
        ("Patient/$export", {"name": "patient"}),
        ("$export", {"name": "_type", "valueInteger": 1}),
    ],
)
def test_r59_a_body_that_cannot_narrow_is_refused(
    chart: Reader, path: str, parameter: dict[str, Any]
) -> None:
    assert posted(chart, path, parameter).status_code == 400


def test_r59_what_was_left_out_for_who_asks_leniently_is_told(chart: Reader) -> None:
    asked = "$export?_type=Patient,Unheard&includeAssociatedData=x&_typeFilter=Patient%3Fx%3D1"

    said = manifest(chart, asked, **LENIENT)

    assert [one["type"] for one in said["output"]] == ["Patient"]
    (errors,) = said["error"]
    lines = [codec.decode(line) for line in chart.ask(errors["url"]).data.splitlines()]
    assert (errors["type"], errors["count"]) == ("OperationOutcome", len(lines)) != ("", 0)
    assert len(lines) == 3
    for one in lines:
        valid(one)


def test_r59_metadata_names_the_operations(chart: Reader) -> None:
    said = chart.get("metadata")

    (rest,) = said["rest"]
    (ours,) = [one for one in rest["resource"] if one["type"] == "Patient"]
    assert [one["name"] for one in rest["operation"]] == ["export"]
    assert [one["name"] for one in ours["operation"]] == ["everything", "export"]
    assert said["instantiates"] == ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]
    valid(said)
