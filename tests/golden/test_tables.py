"""The tables of the mapping set are whole, and claim nothing that no clinician has said."""

import re
from pathlib import Path

import pytest

from fhirbridge.records import vocabulary
from tests.golden import translating

FILES = sorted(translating.MAPPINGS.glob("*/*.yaml"))
UNITS = [
    (dimension, name)
    for dimension, table in vocabulary.read("vocabulary.json")["units"].items()
    for name in table["units"]
]


@pytest.mark.parametrize(("dimension", "name"), UNITS)
def test_every_unit_of_the_record_has_a_ucum_code(dimension: str, name: str) -> None:
    assert dimension in translating.the_set().units.units[name].dimensions


def test_no_unit_is_there_that_no_record_can_use() -> None:
    assert set(translating.the_set().units.units) == {name for _, name in UNITS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_nothing_claims_a_clinical_review_that_was_not_made(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    claims = re.findall(r"^reviewed: (.*)$", text, re.MULTILINE)

    assert set(claims) <= {"not signed off"}
    assert claims or path.parent.name == "fragments"


def test_every_code_is_used() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    written = "\n".join(texts)
    unused = [
        f"{alias}#{code}"
        for alias, system in translating.the_set().codes.systems.items()
        for code in system.displays
        if f"{alias}#{code}" not in written and f'"{code}"' not in written
    ]

    assert unused == []
