"""What one record becomes, rule by rule, on a small mapping set."""

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.translate import engine
from fhirbridge.translate.engine import NotTranslatedError
from fhirbridge.translate.values import Scope
from tests.translate.made import HEAD, body_of, extra, only, record_with
from tests.translate.small_set import FILES, RECORD, SITE, changed, load, translated, with_files

WEIGHT = "resources/weight.yaml"
PERSON = "resources/person.yaml"


def test_a_row_becomes_a_resource_with_its_id_and_identifier(tmp_path: Path) -> None:
    made = only(translated(tmp_path), "weight")

    assert made.body["resourceType"] == "Observation"
    assert made.body["id"] == made.id
    assert made.body["identifier"] == [
        {"system": "https://clinic.example.org/id/weight", "value": made.id}
    ]
    assert (made.type, made.scope, made.row) == ("Observation", Scope.VISIT, "rows/r-1")
    assert made.as_of == "2026-03-02T09:10:00-05:00"
    assert made.content_hash == codec.content_hash(made.body)


def test_a_resource_of_the_whole_record_has_no_row_and_the_time_of_the_visit(
    tmp_path: Path,
) -> None:
    made = only(translated(tmp_path), "person")

    assert (made.row, made.as_of) == ("", "2026-03-02T09:00:00-05:00")


def test_a_row_for_which_when_is_not_true_makes_nothing(tmp_path: Path) -> None:
    rows = [made.row for made in translated(tmp_path).resources if made.mapping == "weight"]

    assert rows == ["rows/r-1"]  # the second row has no weight


def test_a_decimal_keeps_its_digits(tmp_path: Path) -> None:
    body = only(translated(tmp_path), "weight").body

    assert b'"value":72.50' in codec.encode(body)


def test_a_reference_names_the_resource_that_the_other_mapping_makes(tmp_path: Path) -> None:
    translation = translated(tmp_path)

    patient = only(translation, "person")
    assert only(translation, "weight").body["subject"] == {"reference": f"Patient/{patient.id}"}


@pytest.mark.parametrize(
    ("way", "concept"),
    [
        (
            {"key": "nose"},
            {
                "coding": [
                    {
                        "system": "http://snomed.info/sct",
                        "code": "46713006",
                        "display": "Nasal route",
                    }
                ],
                "text": "By nose",
            },
        ),
        (
            {"system": "urn:x", "code": "1", "display": "One"},
            {"coding": [{"system": "urn:x", "code": "1", "display": "One"}]},
        ),
        ({"text": "by ear"}, {"text": "by ear"}),
    ],
)
def test_a_coded_field_is_translated_or_taken_as_given(
    tmp_path: Path, way: dict[str, str], concept: dict[str, Any]
) -> None:
    assert only(translated(tmp_path, record=record_with(way=way)), "weight").body["method"] == (
        concept
    )


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ({"key": "vein"}, "Intravenous route"),
        ({"key": "nose"}, "By nose"),
        ({"system": "urn:x", "code": "1", "display": "One"}, "One"),
        ({"system": "urn:x", "code": "1"}, "1"),
        ({"text": "by ear"}, "by ear"),
    ],
)
def test_a_coded_field_is_said_in_words(tmp_path: Path, way: dict[str, str], said: str) -> None:
    files = extra("status: final\ncode: {text: \"= words('way', rows[0].way)\"}")

    made = only(translated(tmp_path, files, record_with(way=way)), "extra")

    assert made.body["code"] == {"text": said}


def test_a_key_without_a_row_is_a_problem_that_does_not_repeat_it(tmp_path: Path) -> None:
    translation = translated(tmp_path, record=record_with(way={"key": "secret-word"}))

    (problem,) = translation.problems
    assert (problem.code, problem.line) == ("E405", "resources/weight.yaml:21")
    assert problem.source == "rows[0].way.key"
    assert "secret-word" not in problem.message


def test_a_key_without_a_row_may_stay_as_text(tmp_path: Path) -> None:
    files = changed("conceptmaps/way.yaml", "unmapped: error", "unmapped: text-only")

    translation = translated(tmp_path, files, record_with(way={"key": "ear"}))

    assert only(translation, "weight").body["method"] == {"text": "ear"}


def test_what_is_empty_vanishes_with_all_that_is_empty_around_it(tmp_path: Path) -> None:
    assert body_of(tmp_path, "note:\n  - text: = visit.room\n    time: = visit.end") == {}


def test_what_fhir_demands_and_is_empty_is_a_problem_with_its_sources(tmp_path: Path) -> None:
    files = extra("status: final\ncode: {text: = visit.room}")

    (problem,) = translated(tmp_path, files).problems

    assert (problem.code, problem.mapping) == ("E401", "extra")
    assert problem.line == "resources/extra.yaml:10"
    assert problem.source == "visit.room"
    assert problem.message == "Observation.code: FHIR demands it, and it is empty"


def test_a_failed_value_is_one_problem_and_not_two(tmp_path: Path) -> None:
    files = extra("status: final\ncode: = translate('way', rows[0].way)")

    translation = translated(tmp_path, files, record_with(way={"key": "ear"}, weight=None))

    assert [problem.code for problem in translation.problems] == ["E405"]


def test_a_requirement_that_is_false_is_a_problem(tmp_path: Path) -> None:
    record = record_with(weight={"value": Decimal(0), "unit": "kg"})

    (problem,) = translated(tmp_path, record=record).problems

    assert (problem.code, problem.source) == ("E402", "rows[0].weight.value")
    assert problem.message.endswith("the weight is not positive")


def test_a_requirement_about_what_is_absent_holds(tmp_path: Path) -> None:
    record = record_with(weight={"unit": "kg"})

    assert translated(tmp_path, record=record).problems == ()


def test_a_bad_row_does_not_stop_the_others(tmp_path: Path) -> None:
    record = record_with(weight={"value": Decimal(0), "unit": "kg"})
    record["rows"][1]["weight"] = {"value": Decimal(80), "unit": "kg"}

    translation = translated(tmp_path, record=record)

    assert [made.row for made in translation.resources if made.mapping == "weight"] == ["rows/r-2"]


def test_two_rows_with_one_id_are_a_problem_that_names_both(tmp_path: Path) -> None:
    record = record_with()
    record["rows"].append(copy.deepcopy(record["rows"][0]))

    (problem,) = translated(tmp_path, record=record).problems

    assert (problem.code, problem.source) == ("E404", "rows[2] (weight)")
    assert "the same key as rows[0] (weight)" in problem.message


def test_an_empty_part_of_a_key_is_a_problem(tmp_path: Path) -> None:
    files = extra(
        "status: final\ncode: loinc#29463-7", HEAD.replace("[session_id]", "[visit.room]")
    )

    (problem,) = translated(tmp_path, files).problems

    assert (problem.code, problem.line) == ("E403", "resources/extra.yaml:5")


def test_no_time_for_as_of_is_a_problem(tmp_path: Path) -> None:
    files = extra("status: final\ncode: loinc#29463-7", HEAD + "as_of: visit.end\n")

    (problem,) = translated(tmp_path, files).problems

    assert (problem.code, problem.line) == ("E411", "resources/extra.yaml:8")


def test_a_reference_to_what_is_not_made_is_a_problem(tmp_path: Path) -> None:
    files = changed(PERSON, "key: [patient.id]", "key: [patient.id]\nwhen: visit.room.exists()")

    (problem,) = translated(tmp_path, files).problems

    assert (problem.code, problem.mapping) == ("E410", "weight")
    assert problem.line == "resources/weight.yaml:18"


def test_more_rows_than_the_limit_are_a_problem(tmp_path: Path) -> None:
    record = record_with()
    record["rows"] = [{"id": str(number)} for number in range(10_001)]

    assert [problem.code for problem in translated(tmp_path, record=record).problems] == ["E408"]


def test_no_problem_holds_a_value_of_the_record(tmp_path: Path) -> None:
    record = record_with(
        id="CANARY-1", way={"key": "CANARY-2"}, weight={"value": Decimal("-31337.5"), "unit": "kg"}
    )
    record["patient"]["family"] = "CANARY-3"

    shown = repr(translated(tmp_path, record=record).problems)

    assert "CANARY" not in shown
    assert "31337" not in shown


def test_nested_rows_belong_to_the_outermost_row(tmp_path: Path) -> None:
    head = HEAD.replace(
        "key: [session_id]", "each: [rows as r, r.steps as step]\nkey: [r.id, step.id]"
    )

    translation = translated(tmp_path, extra("status: final\ncode: {text: = step.id}", head))

    made = [one for one in translation.resources if one.mapping == "extra"]
    assert [one.row for one in made] == ["rows/r-1", "rows/r-1"]
    assert [one.body["code"]["text"] for one in made] == ["s-1", "s-2"]


DELIVERY = """\
mapping: delivery
version: 1.0.0
target: Provenance
scope: delivery
key: [$run.delivery]
owner: nobody
reviewed: not signed off
resource:
  target:
    $for: $run.targets as t
    $item: {reference: = t}
  recorded: = $run.recorded
  agent:
    - who: {display: = $run.tenant}
  signature:
    - type: [status#final]
      when: = $run.recorded
      who: {display: = $run.set_digest}
"""
GIVEN: Any = {
    "targets": ["Patient/a", "Observation/b"],
    "delivery": "delivery-1",
    "recorded": "2026-03-02T12:00:00Z",
}


def test_a_delivery_has_one_provenance_about_what_it_changed(tmp_path: Path) -> None:
    mapping_set = load(tmp_path, with_files(resources__delivery=DELIVERY))

    made = engine.provenance(RECORD, mapping_set=mapping_set, site=SITE, **GIVEN)

    assert made.body["target"] == [{"reference": "Patient/a"}, {"reference": "Observation/b"}]
    assert made.body["signature"][0]["who"]["display"] == mapping_set.digest
    assert "identifier" not in made.body  # a Provenance has none
    assert (made.scope, made.as_of) == (Scope.DELIVERY, "2026-03-02T12:00:00Z")


def test_a_record_is_translated_without_its_provenance(tmp_path: Path) -> None:
    files = with_files(resources__delivery=DELIVERY)

    assert "delivery" not in [made.mapping for made in translated(tmp_path, files).resources]


def test_a_provenance_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    mapping_set = load(tmp_path, with_files(resources__delivery=DELIVERY))

    with pytest.raises(NotTranslatedError) as caught:
        engine.provenance(RECORD, mapping_set=mapping_set, site=SITE, **{**GIVEN, "targets": []})

    assert [problem.code for problem in caught.value.problems] == ["E401"]


def test_two_resources_share_no_part_that_could_be_changed(tmp_path: Path) -> None:
    mapping_set = load(tmp_path, FILES)
    first = engine.translate(RECORD, mapping_set=mapping_set, site=SITE)
    only(first, "weight").body["code"]["coding"][0]["code"] = "changed"

    second = engine.translate(RECORD, mapping_set=mapping_set, site=SITE)

    assert only(second, "weight").body["code"]["coding"][0]["code"] == "29463-7"
