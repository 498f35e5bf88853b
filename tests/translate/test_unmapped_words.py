"""A word without a row in its ConceptMap: what is made of it, and that it is counted."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.translate import engine, mapping_set
from fhirbridge.translate.tables.concept_maps import unmapped_words
from tests.translate.small_set import FILES, RECORD, SITE, SOURCE, changed, faults, write

WAY = "conceptmaps/way.yaml"
NOSE = {"coding": [{"system": "http://snomed.info/sct", "code": "46713006",
                    "display": "Nasal route"}]}  # fmt: skip
STRANGE: dict[str, Any] = RECORD | {
    "rows": [RECORD["rows"][0] | {"way": {"key": "ear"}}],  # no word of the table
}


@pytest.mark.parametrize(
    ("unmapped", "made", "rule"),
    [
        ("text-only", {"text": "ear"}, "translate(way 1.0.0, unmapped: text-only)"),
        ("{use: 46713006}", NOSE, "translate(way 1.0.0, unmapped: use)"),
        ("{use: snomed#46713006}", NOSE, "translate(way 1.0.0, unmapped: use)"),
        ("omit", None, "translate(way 1.0.0, unmapped: omit)"),
    ],
)
def test_what_becomes_of_a_word_without_a_row(
    tmp_path: Path, unmapped: str, made: Any, rule: str
) -> None:
    files = changed(WAY, "unmapped: error", f"unmapped: {unmapped}")
    files["documents/note.html"] = FILES["documents/note.html"].replace("| coded('way')", "| coded")
    loaded = mapping_set.load(write(tmp_path, files), SOURCE)

    found = engine.translate(STRANGE, mapping_set=loaded, site=SITE)

    weight = next(one for one in found.resources if one.mapping == "weight")
    whys = [*found.empty, *weight.why]
    assert weight.body.get("method") == made
    assert rule in [why.rule for why in whys if why.target.endswith("Observation.method")]
    assert unmapped_words(found) == Counter({rule: 1})


def test_a_word_with_a_row_is_not_counted(tmp_path: Path) -> None:
    files = changed(WAY, "unmapped: error", "unmapped: omit")
    loaded = mapping_set.load(write(tmp_path, files), SOURCE)

    found = engine.translate(RECORD, mapping_set=loaded, site=SITE)

    assert unmapped_words(found) == Counter()


@pytest.mark.parametrize(
    ("unmapped", "found"),
    [
        ("use", ("E303 mappings/conceptmaps/way.yaml:5:11 'unmapped' is error, text-only, omit or "
                "{use: system#code}")),
        ("{use: 4671300}", ("E208 mappings/conceptmaps/way.yaml:5:17 code '4671300' of 'snomed' is "
                           "not in codes.yaml; did you mean '46713006'?")),
    ],
)  # fmt: skip
def test_a_misspelt_way_out_is_a_mistake(tmp_path: Path, unmapped: str, found: str) -> None:
    files = changed(WAY, "unmapped: error", f"unmapped: {unmapped}")

    assert any(one.startswith(found) for one in faults(tmp_path, files))
