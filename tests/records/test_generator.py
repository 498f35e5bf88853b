from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings

from fhirbridge.fhir import codec
from fhirbridge.records import generator
from fhirbridge.records.findings import Level
from fhirbridge.records.generator import KINDS, SeededChance
from fhirbridge.records.source import SourceField
from fhirbridge.records.source_schema import source_schema
from tests.records.strategies import records
from tests.records.visits import findings, load

SEEDS = 120
UNHURRIED = settings(deadline=None, max_examples=60)


def made(kind: str, seed: int) -> dict[str, Any]:
    return generator.generate(kind, SeededChance(f"{kind} {seed}"))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_a_generated_record_is_refused_or_held(kind: str) -> None:
    for seed in range(25):
        levels = {finding.level for finding in findings(made(kind, seed))}

        assert levels <= {Level.WARNING}


@UNHURRIED
@given(records())
def test_no_chance_makes_a_record_that_is_refused_or_held(record: dict[str, Any]) -> None:
    assert {finding.level for finding in findings(record)} <= {Level.WARNING}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_bytes(kind: str) -> None:
    assert codec.encode(made(kind, 7)) == codec.encode(made(kind, 7))


def test_another_seed_gives_another_record() -> None:
    assert len({codec.encode(made("infusion", seed)) for seed in range(20)}) == 20


def test_a_seed_means_the_same_on_every_machine() -> None:
    chance = SeededChance("fhirbridge")

    assert [chance.randrange(1000) for _ in range(5)] == [403, 957, 198, 324, 150]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "retracted"])
def test_everybody_in_a_generated_record_is_synthetic(kind: str) -> None:
    record = made(kind, 3)

    people = [record["patient"], *record["staff"]]
    assert record["labels"] == ["synthetic"]
    assert all(person["name"]["family"].startswith("Synthetic-") for person in people)


def fields(field: SourceField, path: str = "") -> Iterator[str]:
    if field.kind == "object":
        for name, child in field.fields.items():
            yield from fields(child, f"{path}.{name}")
    elif field.item is not None:
        yield from fields(field.item, path)
    else:
        yield path


def used(value: Any, field: SourceField, path: str = "") -> Iterator[str]:
    if field.kind == "object":
        for name, child in value.items():
            yield from used(child, field.fields[name], f"{path}.{name}")
    elif field.item is not None:
        for row in value:
            yield from used(row, field.item, path)
    else:
        yield path


@pytest.mark.slow
def test_every_field_of_the_record_is_invented_somewhere() -> None:
    found = {
        path
        for kind in KINDS
        for seed in range(SEEDS)
        for path in used(made(kind, seed), source_schema())
    }

    assert set(fields(source_schema())) - found == set()


def test_a_generated_crisis_reaches_the_document_whole() -> None:
    record = made("crisis", 1)

    assert load(record).document["vitals"][1]["spo2"] == record["vitals"][1]["spo2"]
    assert record["vitals"][1]["respiratory_rate"]["value"] == 0
