"""What leaves a record, and a session that was an error as a whole."""

from typing import Any

import pytest

from tests.factories import World, a_pulse, a_short_visit, amended, rate, retracted
from tests.mapping_sets import strict_mappings

TOO_FAST = 201


@pytest.mark.parametrize("names_patient", [True, False])
def test_a_session_in_error_is_retracted_whether_it_names_its_patient_or_not(
    world: World, *, names_patient: bool
) -> None:
    record = a_short_visit()
    pulse = world.of_mapping(world.take(record), "vital-heart-rate")[0]
    error = retracted(record)
    if not names_patient:
        kept = ("schema", "session_id", "version", "recorded_at", "as_of", "status", "labels")
        error = {name: error[name] for name in kept}

    world.take(error)

    assert [row.reason for row in world.rows("held")] == []
    assert world.ehr.read(pulse)["status"] == "entered-in-error"


def test_a_row_that_left_while_a_version_was_held_is_retracted_by_the_next(world: World) -> None:
    record = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 75, hour=10)])
    world.use_mappings(strict_mappings)
    pulses = world.of_mapping(world.take(record), "vital-heart-rate")
    held = amended(record, rate(TOO_FAST))
    assert world.take(held).translation == "held"

    def mended(new: Any) -> None:
        new["vitals"] = record["vitals"][:1]

    world.take(amended(held, mended))

    assert sorted(world.ehr.read(one)["status"] for one in pulses) == ["entered-in-error", "final"]


def test_a_version_that_is_held_for_translation_leaves_its_session_counting(world: World) -> None:
    first, third = a_short_visit(1), a_short_visit(3)
    third["patient"]["language"] = "es"
    world.use_mappings(strict_mappings)
    receipt = world.take(first)
    world.take(third)
    assert world.take(amended(third, rate(TOO_FAST))).translation == "held"
    (patient,) = world.of_mapping(receipt, "patient")

    world.take(amended(first, lambda r: r["vitals"][0]["heart_rate"].update(value=90)))

    assert world.ehr.read(patient)["communication"][0]["language"]["coding"][0]["code"] == "es"
    assert len(world.ehr.history(patient)) == 2


@pytest.mark.parametrize("part", ["record", "patient", "vitals"])
def test_what_is_found_to_be_a_psychotherapy_note_is_taken_back(world: World, part: str) -> None:
    record = a_short_visit()
    pulse = world.of_mapping(world.take(record), "vital-heart-rate")[0]

    def keep_back(new: Any) -> None:
        row = {"record": new, "patient": new["patient"], "vitals": new["vitals"][0]}[part]
        row["labels"] = [*row.get("labels", []), "psychotherapy-note"]

    receipt = world.take(amended(record, keep_back))

    assert (receipt.translation, receipt.problems) == ("done", 0)
    assert [row.reason for row in world.rows("held")] == []
    assert world.ehr.read(pulse)["status"] == "entered-in-error"


def test_of_a_psychotherapy_note_from_the_start_nothing_is_owed(world: World) -> None:
    receipt = world.take(a_short_visit(labels=["psychotherapy-note"]))

    assert (receipt.translation, receipt.problems) == ("done", 0)
    assert [len(owed.changes) for owed in receipt.owed] == [0]
