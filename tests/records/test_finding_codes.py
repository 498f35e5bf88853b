"""The page of findings says what the code may find, and nothing else."""

import re
from pathlib import Path

import pytest

from fhirbridge.records import finding_codes
from fhirbridge.records.findings import Level
from fhirbridge.records.generator import KINDS
from tests.records.test_generator import made
from tests.records.test_held import CANNOT_BE_TRUE
from tests.records.visits import a_visit, edited, findings

ROOT = Path(__file__).parents[2]
ROOM = ROOT / "fhirbridge" / "records"
LEVELS = {"1": Level.ERROR, "2": Level.HELD, "3": Level.WARNING, "4": Level.ERROR}


def test_every_code_that_is_used_is_explained_and_back() -> None:
    sources = [*ROOM.rglob("*.py"), ROOM / "bounds.json"]
    texts = [path.read_text() for path in sources if path.name != "finding_codes.py"]

    used = {code for text in texts for code in re.findall(r"\bR\d{3}\b", text)}

    assert used == set(finding_codes.CODES)


def test_the_page_is_made_of_the_codes() -> None:
    assert (ROOT / "docs" / "findings.md").read_text() == finding_codes.page()


@pytest.mark.parametrize("code", finding_codes.CODES)
def test_each_code_stands_once_on_the_page(code: str) -> None:
    assert finding_codes.page().count(f"| {code} |") == 1


def test_the_first_digit_of_a_code_says_its_level() -> None:
    broken = [edited(a_visit(), (place, value)) for place, value, _, _ in CANNOT_BE_TRUE]
    records = [*broken, {}, *(made(kind, seed) for kind in KINDS for seed in range(5))]

    found = {(one.code, one.level) for record in records for one in findings(record)}

    assert {level for _, level in found} == set(Level)
    assert [one for one in found if LEVELS[one[0][1]] is not one[1]] == []
