"""What a translation says of itself: sources of each element, what is empty, what nobody read."""

from pathlib import Path

from tests.translate.made import extra, only
from tests.translate.small_set import changed, translated

WEIGHT = "resources/weight.yaml"


def test_why_names_the_field_the_line_and_the_rule_of_each_element(tmp_path: Path) -> None:
    whys = {why.target: why for why in only(translated(tmp_path), "weight").why}

    assert whys["Observation.valueQuantity"].sources == (
        "rows[0].weight.value",
        "rows[0].weight.unit",
    )
    assert whys["Observation.valueQuantity"].line == "resources/weight.yaml:20"
    assert whys["Observation.method"].rule == "translate(way 1.0.0, equivalent)"
    assert whys["Observation.note[0].text"].sources == ("rows[0].steps[0].text",)
    assert whys["Observation.component[0].valueQuantity"].line == "fragments/piece.yaml:5"
    assert whys["Observation.status"].rule == "constant"


def test_every_element_of_a_resource_has_its_why(tmp_path: Path) -> None:
    for made in translated(tmp_path).resources:
        tops = {why.target.split(".")[1].partition("[")[0] for why in made.why}

        assert tops == made.body.keys() - {"resourceType", "id", "identifier"}


def test_why_shows_what_a_let_read(tmp_path: Path) -> None:
    files = changed(WEIGHT, "text: = step.text", "text: = shown")

    whys = only(translated(tmp_path, files), "weight").why

    assert [why.sources for why in whys if why.target.endswith("note[0].text")] == [
        ("rows[0].note",)
    ]


def test_an_empty_element_is_listed_with_the_field_that_is_absent(tmp_path: Path) -> None:
    files = extra("status: final\ncode: loinc#29463-7\nvalueString: = visit.room")

    empty = translated(tmp_path, files).empty

    assert ("Observation.valueString", ("visit.room",)) in [
        (why.target, why.sources) for why in empty
    ]


def test_data_that_no_mapping_read_is_listed(tmp_path: Path) -> None:
    assert translated(tmp_path).unmapped == (
        "recorded_at",
        "rows[0].checked",
        "rows[0].kind",
        "rows[0].score",
        "rows[0].steps[0].id",
        "rows[0].steps[1]",  # of it nothing was read, so its fields are not listed one by one
        "rows[0].tags",
        "rows[1]",
        "status",
    )
