"""Words that mean something and stand in no required value set: a wrong letter of them is found."""

from pathlib import Path

import pytest

from fhirbridge.records.source import SourceField
from tests.translate.made import body_of, extra
from tests.translate.small_set import (
    NUMBER,
    TEXT,
    an_object,
    changed,
    evaluate,
    fault_of,
    faults,
)

IN_RESOURCE = "status: final\ncode: loinc#29463-7\n"


def wrong(folder: Path, body: str) -> list[str]:
    """The mistakes of one more mapping."""
    return faults(folder, extra(IN_RESOURCE + body))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("device: {type: Devise}", "must be one of Device, DeviceMetric, not 'Devise'"),
        ("device: {type: Patient}", "must be one of Device, DeviceMetric, not 'Patient'"),
        (
            "device: {type: = 'Devise'}",
            "must be one of Device, DeviceMetric, and this can be 'Devise'",
        ),
        ("device: {type: = visit.room}", "takes only certain codes, and this could be any text"),
        ("focus: [{type: Patiant}]", "not 'Patiant'; did you mean 'Patient'?"),
    ],
)
def test_the_type_of_a_reference_is_one_that_the_element_may_point_to(
    tmp_path: Path, body: str, said: str
) -> None:
    found = wrong(tmp_path, body)

    assert [fault.split()[0] for fault in found] == ["E214"]
    assert "Reference.type" in found[0]
    assert said in found[0]


def test_a_reference_of_the_right_type_may_have_only_an_identifier(tmp_path: Path) -> None:
    own = {"type": "Device", "identifier": {"value": "n-1"}}

    assert body_of(tmp_path, "device: {type: Device, identifier: {value: n-1}}") == {"device": own}


@pytest.mark.parametrize(
    "body",
    [
        "language: ennglish",
        "language: = 'ennglish'",
        "extension: [{url: u, valueCode: fynal}]",
    ],
)
def test_a_code_without_a_list_of_its_own_comes_from_codes_yaml(tmp_path: Path, body: str) -> None:
    found = wrong(tmp_path, body)

    assert [fault.split()[0] for fault in found] == ["E214"]
    assert found[0].endswith("has no list of its own; a code is written system#code")


@pytest.mark.parametrize(
    "body",
    [
        "method: {coding: [{system: http://snomed.infq/sct, display: By nose}]}",
        "valueQuantity: {value: 1, system: http://snomed.infq/sct}",
    ],
)
def test_the_system_of_a_code_is_one_of_codes_yaml(tmp_path: Path, body: str) -> None:
    found = wrong(tmp_path, body)

    assert [fault.split()[0] for fault in found] == ["E208"]
    assert (
        "has the url 'http://snomed.infq/sct'; did you mean 'http://snomed.info/sct'?" in found[0]
    )


WEIGHED = an_object(
    {
        "weight": SourceField(
            kind="object", fields={"value": NUMBER, "unit": TEXT}, dimensions=("mass",)
        )
    }
)


@pytest.mark.parametrize("asked", ["weight.unit = 'kq'", "weight.unit in ('kq' | 'g')"])
def test_the_unit_of_a_measure_is_one_of_its_kind(asked: str) -> None:
    fault = fault_of(asked, WEIGHED)

    assert (fault.code, fault.message) == ("E205", "it is never 'kq'")
    assert evaluate(asked.replace("kq", "kg"), {"weight": {"value": 3, "unit": "kg"}}, WEIGHED)


@pytest.mark.parametrize(
    "asked", ["coalesce(rows[0].way.key, 'another') in ('vien' | 'nose')",
              "iif(visit.day.exists(), 'another', rows[0].way.key) = 'vien'"]
)  # fmt: skip
def test_a_word_that_stands_in_for_a_key_does_not_open_the_list_of_keys(asked: str) -> None:
    fault = fault_of(asked)

    assert (fault.code, fault.message) == ("E205", "it is never 'vien'; did you mean 'vein'?")


@pytest.mark.parametrize(("function", "part"), [("startsWith", "befour"), ("contains", "foor")])
def test_a_part_that_no_word_of_a_closed_set_has_is_never_found(function: str, part: str) -> None:
    fault = fault_of(f"rows[0].kind.{function}('{part}')")

    assert fault.code == "E205"
    assert fault.message == f"rows[0].kind.{function}() is never true of before, after"
    assert evaluate(f"rows[0].kind.{function}('{part.replace('our', 'or').replace('oor', 'or')}')")


def test_a_word_of_a_list_that_became_another_of_it_stands_there_twice() -> None:
    fault = fault_of("rows[0].state in ('final' | 'amended' | 'final')")

    assert (fault.code, fault.message) == ("E205", "'final' stands twice in the list")


WEIGHT = "resources/weight.yaml"
NOTE = "documents/note.html"


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (WEIGHT, "$for: r.steps as step\n    $item:\n      text: = step.text\n      $if: step.text",
         "$for: r.steps as q\n    $item:\n      text: = q.text\n      $if: q.text",
         "E206 mappings/resources/weight.yaml:26:11 'q' is one letter from 'r'"),
        (WEIGHT, "  shown: r.note & '!'", "  shown: r.note & '!'\n  shows: shown",
         "E206 mappings/resources/weight.yaml:11:10 'shows' is one letter from 'shown'"),
        (NOTE, "{{ row.note }}", "{% for raw in row.steps %}{{ raw.text }}{% endfor %}",
         "E209 mappings/documents/note.html:3:1 'raw' is one letter from 'row'"),
        (NOTE, "{% for row in rows %}", "{% for row in rows %}{% set raw = row.note %}",
         "E209 mappings/documents/note.html:2:1 'raw' is one letter from 'row'"),
    ],
)  # fmt: skip
def test_two_names_that_are_in_reach_together_differ_in_more_than_a_letter(
    tmp_path: Path, file: str, old: str, new: str, said: str
) -> None:
    assert any(fault.startswith(said) for fault in faults(tmp_path, changed(file, old, new)))
