import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.rules.identity import is_npi
from tests.records.visits import SAMPLES

SERIES = SAMPLES[:7]


def read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = codec.decode(path.read_bytes())
    return record


def every_value(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in every_value(item, key)]
    if isinstance(value, list):
        return [pair for item in value for pair in every_value(item, name)]
    return [(name, value)]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_passes_without_any_finding(path: Path) -> None:
    assert schema.load(path.read_bytes()).findings == ()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_is_stored_as_it_was_sent(path: Path) -> None:
    assert schema.load(path.read_bytes()).document == read(path)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_says_that_it_is_synthetic(path: Path) -> None:
    record = read(path)

    people = [value for name, value in every_value(record) if name == "family"]
    assert record["labels"] == ["synthetic"]
    assert people
    assert all(name.startswith("Synthetic-") for name in people)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_every_sample_uses_reserved_phone_numbers_and_valid_provider_numbers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    numbers = [value for name, value in every_value(read(path)) if name == "npi"]

    phones = re.findall(r"\+1[-\d]+", text)

    assert phones
    assert all(re.fullmatch(r"\+1-555-01\d\d", phone) for phone in phones)
    assert all(is_npi(number) for number in numbers)


def test_the_series_is_six_visits_of_one_patient_and_an_amendment_of_the_third_sent_last() -> None:
    records = [read(path) for path in SERIES]

    sent = [(record["visit"]["number"], record["version"]) for record in records]

    assert sent == [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (3, 2)]
    assert len({record["patient"]["id"] for record in records}) == 1
    assert len({record["session_id"] for record in records}) == 6


@pytest.mark.parametrize("part", ["plan", "patient"])
def test_what_is_shared_has_a_newer_as_of_exactly_where_it_changed(part: str) -> None:
    shared = [read(path)[part] for path in SERIES[:6]]

    for before, after in pairwise(shared):
        assert (before == after) == (before["as_of"] == after["as_of"])
        assert before["as_of"] <= after["as_of"]
    assert len({row["as_of"] for row in shared}) > 1


def test_the_plan_changes_at_visits_three_and_six_only() -> None:
    plans = [read(path)["plan"] for path in SERIES[:6]]

    changed = [n for n in range(1, 6) if plans[n] != plans[n - 1]]

    assert [n + 1 for n in changed] == [3, 6]


def test_the_amendment_corrects_one_reading_and_turns_nothing_else() -> None:
    before, after = read(SERIES[2]), read(SERIES[6])

    changed = [name for name in after if after[name] != before.get(name)]
    readings = [n for n, row in enumerate(after["vitals"]) if row != before["vitals"][n]]

    assert changed == ["version", "recorded_at", "as_of", "amends", "signed", "vitals"]
    assert readings == [3]


def test_depression_scores_fall_over_the_series() -> None:
    totals = [read(path)["assessments"][0]["total"] for path in SERIES[:6]]

    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 2 * totals[-1]


@pytest.mark.parametrize(
    ("name", "route"), [("08", "intranasal"), ("09", "intramuscular"), ("10", "oral")]
)
def test_the_other_routes_have_a_patient_each(name: str, route: str) -> None:
    record = read(next(path for path in SAMPLES if path.name.startswith(name)))

    assert record["administrations"][0]["route"] == {"key": route}
    assert record["patient"]["id"] != read(SERIES[0])["patient"]["id"]
