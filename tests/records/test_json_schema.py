"""The published schema takes what the check takes, and refuses what has the wrong form."""

from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.records.generator import KINDS
from fhirbridge.records.json_schema import json_schema
from fhirbridge.records.parts.stock import STOCK_NAME
from tests.records.schema_reader import mistakes
from tests.records.test_generator import made
from tests.records.test_stock import a_stock
from tests.records.visits import ABSENT, SAMPLES, a_visit, edited, findings
from tests.records.whole import COURSE

GONE = {"status": "entered-in-error"}


@pytest.mark.parametrize("kind", KINDS)
def test_generated_records_of_every_kind_fit_the_schema(kind: str) -> None:
    schema = json_schema()

    assert [one for seed in range(8) for one in mistakes(made(kind, seed), schema)] == []


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_the_samples_fit_the_schema(path: Any) -> None:
    assert list(mistakes(a_visit(path.name), json_schema())) == []


def test_a_whole_course_and_a_month_of_stock_fit_their_schemas() -> None:
    assert list(mistakes(COURSE, json_schema())) == []
    assert list(mistakes(a_stock(), json_schema(STOCK_NAME))) == []


def test_a_row_that_is_taken_back_needs_only_its_id() -> None:
    gone = edited(a_visit(), ("/vitals/0", {"id": "v-1", **GONE}))

    assert list(mistakes(gone, json_schema())) == []
    assert list(mistakes(a_stock(losses=[{"id": "x", **GONE}]), json_schema(STOCK_NAME))) == []


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/visit", ABSENT),
        ("/patient/name", ABSENT),
        ("/vitals/0/time", ABSENT),
        ("/vitals/0/id", ABSENT),
        ("/vitals/0/spo3", 98),
        ("/vitals/0/spo2", {"value": "98", "unit": "%"}),
        ("/administrations/0/drug", {"key": "ketamin"}),
        ("/administrations/0/drug", {"key": "ketamine", "text": "Ketamine"}),
        ("/visit/status", "finished"),
        ("/visit/start", "2 March 2026"),
        ("/version", Decimal("1.5")),
        ("/vitals", {}),
    ],
)
def test_what_has_the_wrong_form_is_refused_by_the_schema_and_by_the_check(
    pointer: str, value: Any
) -> None:
    record = edited(a_visit(), (pointer, value))

    assert list(mistakes(record, json_schema()))
    assert findings(record)[0].level.value == "error"
