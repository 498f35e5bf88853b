"""A case fails where anything differs from what is expected of it, and says where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import branches, cases, differences, expected, mutation
from fhirbridge.workbench.cases import Bench, Case, CaseError, CaseResult
from fhirbridge.workbench.rehearsal import is_synthetic
from tests.workbench import mappings_copy
from tests.workbench.mappings_copy import CASE, edit

CLINIC = "resources/organization.yaml"
HEIGHT = "resources/vital-height.yaml"
WEIGHT = "resources/vital-weight.yaml"
ACTIVE = ("  active: true", "  active: false")
NOTE = "session-note.html"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return mappings_copy.copy(tmp_path)


def run(folder: Path) -> CaseResult:
    (result,) = cases.run(mapping_set.read(folder), folder, source_schema())
    return result


def kept(folder: Path, name: str) -> Path:
    return folder / "tests" / CASE / name


def own_record(folder: Path, change: Callable[[Any], None]) -> None:
    sent = codec.decode(cases.find(folder)[0].record())
    change(sent)
    kept(folder, cases.RECORD).write_bytes(codec.encode(sent))


def test_what_becomes_what_is_expected_passes(folder: Path) -> None:
    result = run(folder)

    assert result.differences == ()
    assert result.passed
    assert result.files > 15


def test_a_digit_that_is_lost_is_a_difference_with_its_path(folder: Path) -> None:
    (weight,) = codec.decode(kept(folder, "vital-weight.json").read_bytes())
    value = weight["valueQuantity"]["value"]
    edit(folder, f"tests/{CASE}/vital-weight.json", f'"value": {value}', f'"value": {value}0')

    assert run(folder).differences == (
        f"vital-weight.json [0].valueQuantity.value: expected {value}0, found {value}",
    )


def test_another_mapping_is_a_difference(folder: Path) -> None:
    edit(folder, CLINIC, *ACTIVE)

    assert run(folder).differences == ("organization.json [0].active: expected true, found false",)


def test_a_file_that_is_not_made_or_not_expected_is_named(folder: Path) -> None:
    kept(folder, "encounter.json").rename(kept(folder, "visit.json"))

    assert run(folder).differences == (
        "encounter.json: made, and not expected",
        "visit.json: expected, and nothing of it is made",
    )


def test_a_line_of_the_note_that_differs_is_named(folder: Path) -> None:
    first = kept(folder, NOTE).read_text(encoding="utf-8").splitlines()[0]
    edit(folder, f"tests/{CASE}/{NOTE}", first, "<!DOCTYPE nothing>")

    (differing,) = run(folder).differences

    assert differing.startswith(f"{NOTE} line 1: expected <!DOCTYPE nothing>")


def test_a_record_that_is_refused_fails_with_all_its_findings(folder: Path) -> None:
    own_record(folder, lambda sent: sent.pop("patient"))

    assert any("/patient" in line for line in run(folder).differences)


def test_a_record_that_cannot_be_translated_fails_with_line_and_field(folder: Path) -> None:
    check = "requires:\n  - {check: v.weight.value < 1, message: too heavy}\nowner:"
    edit(folder, WEIGHT, "owner:", check)

    (differing,) = run(folder).differences

    assert differing.startswith(f"E402 {WEIGHT}:")
    assert differing.endswith("vitals[0].weight.value: Observation: too heavy")


def test_a_record_that_may_be_real_is_refused_without_its_names(folder: Path) -> None:
    own_record(folder, lambda sent: sent["patient"]["name"].update(family="Jones"))

    (differing,) = run(folder).differences

    assert differing.startswith("E230")
    assert "Jones" not in differing


@pytest.mark.parametrize(
    ("sent", "is_so"),
    [
        ({"patient": {"name": {"family": "Synthetic-Alvarez"}}}, True),
        ({"labels": ["synthetic"], "patient": {"id": "p-1"}}, True),
        ({"patient": {"id": "p-1"}}, False),
        ({"labels": ["synthetic"], "staff": [{"name": {"family": "Jones"}}]}, False),
        ([], False),
    ],
)
def test_only_a_record_that_says_so_is_synthetic(sent: Any, is_so: bool) -> None:  # noqa: FBT001
    assert is_synthetic(sent) is is_so


def test_a_case_without_a_record_says_what_is_missing(folder: Path) -> None:
    kept(folder, "").rename(folder / "tests" / "nobody")

    (differing,) = run(folder).differences

    assert "case nobody has no record.json" in differing


def test_a_misspelt_case_is_named_with_the_nearest(folder: Path) -> None:
    with pytest.raises(CaseError, match=f"did you mean '{CASE}'"):
        cases.find(folder, CASE.replace("muscular", "musclar"))


def test_a_record_that_was_taken_back_becomes_nothing(folder: Path) -> None:
    own_record(folder, lambda sent: sent.update(status="entered-in-error"))
    for path in kept(folder, "").glob("*"):
        if path.name != cases.RECORD:
            path.unlink()

    result = run(folder)

    assert (result.differences, result.files) == ((), 0)


def test_a_case_of_an_overlay_is_translated_with_it(folder: Path) -> None:
    old = kept(folder, "")
    own_record(folder, lambda sent: sent.update(version=1))
    old.rename(folder / "tests" / f"rate-children@{CASE}")
    leave_out = "leave_out: [vital-height]\nchanges:"
    edit(folder, "overlays/rate-children.yaml", "changes:", leave_out)

    assert run(folder).differences == ("vital-height.json: expected, and nothing of it is made",)


def test_update_writes_what_comes_out_now_and_keeps_the_record(folder: Path) -> None:
    own_record(folder, lambda sent: sent.update(version=1))
    edit(folder, CLINIC, *ACTIVE)
    kept(folder, "stray.json").write_text("[]")
    kept(folder, expected.WHY).write_text("[]")

    changed = cases.update(mapping_set.read(folder), cases.find(folder), source_schema())

    names = {name.partition("/")[2] for name in changed}
    assert names == {"stray.json", "organization.json", expected.WHY}
    assert run(folder).passed
    assert kept(folder, cases.RECORD).is_file()
    assert "patient.birth_date" in kept(folder, expected.WHY).read_text()


def test_update_leaves_a_case_that_cannot_be_translated_as_it_is(folder: Path) -> None:
    before = kept(folder, "patient.json").read_bytes()
    own_record(folder, lambda sent: sent.pop("patient"))

    changed = cases.update(mapping_set.read(folder), cases.find(folder), source_schema())

    assert changed == ()
    assert kept(folder, "patient.json").read_bytes() == before


def test_the_order_of_rows_may_not_decide_which_resources_there_are(folder: Path) -> None:
    own_record(folder, lambda sent: sent["vitals"].append({**sent["vitals"][0], "id": "v-99"}))
    edit(folder, HEIGHT, "when: ", "when: vitals.first().id = v.id and ")

    differing = run(folder).differences

    assert "with its rows in another order it becomes other resources" in differing


def test_a_resource_more_does_not_shift_those_that_follow() -> None:
    def text(*ids: str) -> str:
        return expected.pretty([{"resourceType": "Goal", "id": own, "x": own} for own in ids])

    found = list(differences.of_json("goal.json", text("b", "c"), text("a", "b", "c")))

    assert [one.said for one in found] == ["goal.json [0]: Goal/a is made, and not expected"]


def test_another_layout_of_the_same_content_is_a_difference_too() -> None:
    found = list(differences.of_json("a.json", '[{"a":1,"b":2}]', '[{"b":2,"a":1}]'))

    assert [one.said for one in found] == ["a.json: the same content in another order or layout"]


def test_what_no_case_reaches_is_listed_by_line(folder: Path) -> None:
    files = mapping_set.read(folder)
    bench = Bench(files, source_schema())
    bench.run(cases.find(folder)[0])

    lines = bench.unreached()

    text = files.by_name["resources/encounter.yaml"].decode().splitlines()
    inner = [line for line in lines if line.startswith("resources/encounter.yaml:")]
    assert inner
    assert all("$" in text[int(line.rpartition(":")[2]) - 1] for line in inner)
    assert not [line for line in lines if line.startswith("resources/vital-weight.yaml:")]
    assert [line for line in lines if line.startswith("resources/adverse-event.yaml:")]


def test_a_branch_that_is_reached_is_not_listed(folder: Path) -> None:
    files = mapping_set.read(folder)
    every = {f"{name}:{line}" for name in files.by_name for line in range(1, 400)}

    assert branches.unreached(files, every) == ()


@pytest.mark.slow
def test_dropping_a_field_of_a_good_mapping_does_no_harm(folder: Path) -> None:
    case = smaller(folder)

    tried, wrong = mutation.run(mapping_set.read(folder), [case], source_schema())

    assert tried > 30
    assert wrong == ()


@pytest.mark.slow
def test_a_field_without_which_a_resource_is_unsound_is_named(folder: Path) -> None:
    case = smaller(folder)
    no_code = "  language: = iif(patient.telecom.exists(), 'en', 'a  b')\n"
    edit(folder, "resources/patient.yaml", "  active: true\n", f"  active: true\n{no_code}")

    _, wrong = mutation.run(mapping_set.read(folder), [case], source_schema())

    assert [line.partition(": ")[0] for line in wrong] == [
        f"{CASE} without /patient/telecom",
    ]


def smaller(folder: Path) -> Case:
    """Leave little in the record, so that each of its fields can be dropped in a moment."""

    def shrink(sent: Any) -> None:
        keep = {"schema", "session_id", "version", "recorded_at", "clinic", "patient", "visit"}
        keep |= {"as_of", "status", "labels"}
        for name in set(sent) - keep:
            del sent[name]

    own_record(folder, shrink)
    return cases.find(folder)[0]
