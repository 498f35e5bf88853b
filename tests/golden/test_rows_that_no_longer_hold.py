"""What a translation names as withdrawn: shared rows that the record has and makes nothing of."""

from typing import Any

import pytest

from fhirbridge.translate.values import Scope, Translation
from tests.golden import translating
from tests.golden.translating import WHOLE, Json, changed, sample, translate

Names = set[tuple[str, str, str]]


def named(found: tuple[Any, ...], mapping: str) -> Names:
    return {(one.type, one.id, one.row) for one in found if one.mapping == mapping}


def rows_of(sent: Json, path: str) -> list[Json]:
    value: Any = sent
    for name in path.split("."):
        value = value[name]
    rows: list[Json] = value
    return rows


SHARED = {
    "condition": "conditions",
    "allergy-history": "allergies",
    "current-medication": "medications_current",
    "consent": "consents",
    "prior-medication": "consultation.prior_treatments",
    "prior-procedure": "consultation.prior_treatments",
    "goal": "plan.goals",
    "appointment": "plan.visits",
}


@pytest.mark.parametrize(("mapping", "path"), sorted(SHARED.items()))
def test_what_was_made_of_a_row_is_withdrawn_once_the_row_is_labelled(
    mapping: str, path: str
) -> None:
    before = translate(sample(WHOLE))

    def label(sent: Json) -> None:
        for row in rows_of(sent, path):
            row["labels"] = ["psychotherapy-note"]

    after = changed(label, WHOLE)

    made = named(before.resources, mapping)
    assert made
    assert named(after.resources, mapping) == set()
    assert made <= named(after.withdrawn, mapping)


# A condition that others name cannot simply be left out.
@pytest.mark.parametrize(
    ("mapping", "path"), sorted(SHARED.items() - {("condition", "conditions")})
)
def test_of_a_row_that_is_not_there_nothing_is_said(mapping: str, path: str) -> None:
    def take_out(sent: Json) -> None:
        rows_of(sent, path).clear()

    after = changed(take_out, WHOLE)

    assert named((*after.resources, *after.withdrawn), mapping) == set()


@pytest.mark.parametrize("name", sorted(translating.SAMPLES))
def test_nothing_is_both_made_and_withdrawn_and_nothing_that_belongs_to_a_visit(name: str) -> None:
    found: Translation = translate(sample(name))

    made = {(one.type, one.id) for one in found.resources}
    assert made.isdisjoint((one.type, one.id) for one in found.withdrawn)
    assert {one.scope for one in found.withdrawn} <= {Scope.PATIENT, Scope.SERIES}
    assert all((one.body, one.why) == ({}, ()) for one in found.withdrawn)
