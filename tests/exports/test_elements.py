"""S22, R65: every element is a row, and no row runs anything in a spreadsheet."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.exports import elements
from fhirbridge.exports.question import Form
from tests.exports.conftest import Clinic, resources

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "%0A", "|calc", "\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_s22_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    (_, _, _, cell), *_ = read(elements.HEAD + b"".join(elements.rows(noted(text))))[1:]

    assert cell == f"'{text}"


def noted(text: str) -> dict[str, Any]:
    return {"resourceType": "Basic", "id": "x", "note": [{"text": text}]}


def read(raw: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw.decode(), newline="")))


def test_a_number_keeps_its_digits_and_its_sign() -> None:
    body = {"resourceType": "Basic", "id": "x", "value": Decimal("-0.50"), "is": True}

    rows = read(b"".join(elements.rows(body)))

    assert rows == [["Basic", "x", "value", "-0.50"], ["Basic", "x", "is", "true"]]


def test_what_no_cell_holds_is_cut_and_says_so() -> None:
    (row,) = read(b"".join(elements.rows(noted("x" * 40_000))))

    assert row[3].endswith("[cut: whole in NDJSON]")


def test_r65_csv_says_what_the_ndjson_says(clinic: Clinic) -> None:
    package = clinic.export(forms={Form.CSV})

    rows = read((package / "elements.csv").read_bytes())[1:]

    assert {f"{kind}/{own}" for kind, own, _, _ in rows} == set(resources(package))
    for kind, own, path, cell in rows:
        value: Any = resources(package)[f"{kind}/{own}"]
        for step in path.replace("]", "").replace("[", ".").split("."):
            value = value[int(step)] if isinstance(value, list) else value[step]
        said = str(value).lower() if isinstance(value, bool) else str(value)
        assert cell.removeprefix("'") == said
