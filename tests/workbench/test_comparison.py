"""What another version of the mappings changes, counted; and whether its version says so."""

from functools import cache
from importlib import resources

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records.source_schema import source_schema
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import Files
from fhirbridge.workbench import comparison
from fhirbridge.workbench.comparison import Change, Comparison, Side
from fhirbridge.workbench.versions import Step, taken
from tests.workbench.mappings_copy import MAPPINGS, files_with

HEIGHT = "resources/vital-height.yaml"
RATE = "resources/administration-rate.yaml"
RATES = "overlays/rate-children.yaml"
WEIGHT = "resources/vital-weight.yaml"
PHASE = ("'Phase of the visit: '", "'Phase: '")
VERSION = "version: "


def corpus() -> list[tuple[str, bytes]]:
    names = ("01-iv-series-visit-1.v1.json", "09-intramuscular-visit-1.v1.json")
    return [(name, (resources.files("fhirbridge.samples") / name).read_bytes()) for name in names]


def without_overlays(files: Files) -> Files:
    """Half the work, where overlays are not what is tested."""
    kept = {
        name: raw
        for name, raw in files.by_name.items()
        if not name.startswith("overlays/") and b"optional: true" not in raw
    }
    return Files(by_name=kept)


@cache
def old(*, overlays: bool) -> Side:
    files = mapping_set.read(MAPPINGS)
    return comparison.side(files if overlays else without_overlays(files), source_schema())


def compared(new: Files, extra: tuple[tuple[str, bytes], ...] = ()) -> Comparison:
    side = comparison.side(without_overlays(new), source_schema())
    return comparison.compare(old(overlays=False), side, [*corpus(), *extra])


def with_overlays(new: Files, extra: tuple[tuple[str, bytes], ...] = ()) -> Comparison:
    side = comparison.side(new, source_schema())
    return comparison.compare(old(overlays=True), side, [*corpus(), *extra])


def test_the_same_mappings_change_nothing() -> None:
    found = compared(mapping_set.read(MAPPINGS))

    assert (found.records, found.touched) == (2, 0)
    assert (found.changes, found.steps, found.left_out) == ((), (), ())
    assert found.resources > 50


def test_an_element_that_changes_is_counted_with_its_resources() -> None:
    found = compared(files_with(HEIGHT, PHASE))

    assert found.changes == (
        Change(
            mapping="vital-height", element="Observation.note.text", what="changed", resources=2
        ),
    )
    assert found.touched == 2


def test_a_resource_of_many_records_counts_once() -> None:
    found = compared(files_with("resources/organization.yaml", ("active: true", "active: false")))

    clinics = {codec.decode(raw)["clinic"]["id"] for _, raw in corpus()}
    assert [one.resources for one in found.changes] == [len(clinics)]


def test_elements_that_come_and_go_are_told_apart() -> None:
    edit = (
        "  effectiveDateTime: = v.time",
        "  issued: = v.time\n  effectivePeriod: {start: = v.time}",
    )

    found = {(one.element, one.what) for one in compared(files_with(WEIGHT, edit)).changes}

    assert found == {
        ("Observation.issued", "added"),
        ("Observation.effectivePeriod.start", "added"),
        ("Observation.effectiveDateTime", "removed"),
    }


def test_another_key_makes_resources_vanish_and_needs_a_major_step() -> None:
    found = compared(files_with(HEIGHT, ("key: [session_id, v.id]", "key: [v.id, session_id]")))

    assert {(one.what, one.resources) for one in found.changes} == {("appears", 2), ("vanishes", 2)}
    (step,) = found.steps
    assert (step.mapping, step.needed, step.is_enough) == ("vital-height", Step.MAJOR, False)
    assert "key" in step.because


def test_another_keyspace_is_breaking_even_where_the_corpus_has_none_of_it() -> None:
    name = "resources/suitability.yaml"

    found = compared(files_with(name, ("keyspace: suitability", "keyspace: fitness")))

    assert found.changes == ()
    assert [(one.mapping, one.needed) for one in found.too_small] == [("suitability", Step.MAJOR)]


def test_resources_that_are_made_no_more_need_a_major_step() -> None:
    found = compared(files_with(HEIGHT, ("when: ", "when: 1 = 2 and ")))

    assert [(one.what, one.element) for one in found.changes] == [("vanishes", "Observation")]
    assert found.steps[0].because == "resources vanish"


def test_a_version_that_grew_enough_is_not_too_small() -> None:
    text = mapping_set.read(MAPPINGS).by_name[HEIGHT].decode()
    version = next(line for line in text.splitlines() if line.startswith(VERSION))
    major, minor, _ = version.removeprefix(VERSION).split(".")
    grown = f"{VERSION}{major}.{int(minor) + 1}.0"

    found = compared(files_with(HEIGHT, PHASE, (version, grown)))

    assert [one.is_enough for one in found.steps] == [True]
    assert found.too_small == ()


def test_a_table_that_changes_what_comes_out_counts_for_the_mapping_that_uses_it() -> None:
    found = compared(files_with("units.yaml", ("display: kg,", "display: kilogram,")))

    assert "vital-weight" in {one.mapping for one in found.too_small}


def test_what_an_overlay_changes_is_told_for_its_destinations_alone() -> None:
    leave_out = ("changes:", "leave_out: [vital-height]\nchanges:")

    found = with_overlays(files_with(RATES, leave_out))

    gone = Change(
        mapping="vital-height",
        element="Observation",
        what="vanishes",
        resources=2,
        overlay="rate-children",
    )
    assert found.changes == (gone,)
    assert found.touched == 2
    assert [(one.mapping, one.needed) for one in found.too_small] == [("rate-children", Step.MAJOR)]


def test_a_change_for_all_is_told_once_and_again_where_an_overlay_makes_it_another() -> None:
    leave_out = ("changes:", "leave_out: [vital-height]\nchanges:")
    before, after = files_with(RATES, leave_out), files_with(HEIGHT, PHASE)
    after = Files(by_name={**after.by_name, RATES: before.by_name[RATES]})

    sides = [comparison.side(one, source_schema()) for one in (before, after)]
    found = comparison.compare(sides[0], sides[1], corpus())

    told = [(one.overlay, one.resources) for one in found.changes]
    assert told == [("", 2), ("rate-children", 0)]
    assert [one.mapping for one in found.steps] == ["vital-height"]


def test_a_mapping_that_only_an_overlay_adds_is_compared_too() -> None:
    visit = (MAPPINGS / "tests/dose-infusion-rate-change/record.json").read_bytes()
    new = files_with(RATE, ("'Part of an infusion at '", "'A stretch at '"))

    found = with_overlays(new, (("rates.json", visit),))

    element = "MedicationAdministration.dosage.text"
    assert [(one.overlay, one.element) for one in found.changes] == [("rate-children", element)]
    assert [one.mapping for one in found.too_small] == ["administration-rate"]


def test_an_overlay_that_is_gone_is_named() -> None:
    files = mapping_set.read(MAPPINGS)
    kept = {name: raw for name, raw in files.by_name.items() if name not in (RATES, RATE)}

    found = with_overlays(Files(by_name=kept))

    assert found.overlays_gone == ("rate-children",)
    assert found.changes == ()


def test_a_record_that_is_refused_or_not_translated_is_named_and_left_out() -> None:
    check = "requires:\n  - {check: v.weight.value < 1, message: too heavy}\nowner:"

    found = compared(files_with(WEIGHT, ("owner:", check)), (("bad.json", b"{}"),))

    assert found.records == 0
    assert len(found.left_out) == 3
    assert found.left_out[0].startswith(f"{corpus()[0][0]}: NEW cannot translate it: E402 {WEIGHT}")
    assert found.left_out[2].startswith("bad.json: not a record")


def test_no_value_is_in_a_comparison() -> None:
    other = ("  birthDate: = patient.birth_date", "  language: = patient.name.family")
    text = repr(compared(files_with("resources/patient.yaml", other)))

    assert "Patient.language" in text
    for _, raw in corpus():
        assert codec.decode(raw)["patient"]["name"]["family"] not in text


@pytest.mark.parametrize(
    ("old", "new", "step"),
    [
        ("1.0.0", "1.0.0", Step.NONE),
        ("1.0.0", "1.0.1", Step.PATCH),
        ("1.0.9", "1.1.0", Step.MINOR),
        ("1.9.9", "2.0.0", Step.MAJOR),
        ("1.9.0", "1.10.0", Step.MINOR),
        ("2.0.0", "1.9.9", Step.BACK),
    ],
)
def test_the_step_between_versions(old: str, new: str, step: Step) -> None:
    assert taken(old, new) is step
