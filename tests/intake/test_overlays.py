"""What one overlay cannot translate, or cannot prove, waits: kept, shown, and sent once it can."""

import pytest

from fhirbridge.translate.mapping_set import Files
from tests.factories import World, a_pulse, a_short_visit, amended, retracted
from tests.intake import drafts
from tests.intake.drafts import PULSE, edited, held_at, newest, strict, unproven_second
from tests.mapping_sets import few_mappings

TOO_FAST = 210
STRICT_PULSE = "resources/vital-pulse.yaml"
NOTED = {PULSE: ("owner:", "note: another set\nowner:")}
MENDED = {STRICT_PULSE: ("value < 200", "value < 300")}


def test_each_destination_that_waits_gets_the_record_when_the_mappings_are_mended() -> None:
    world = World(mapped=strict)
    world.connect("one", overlay="strict")
    world.take(a_short_visit(vitals=[a_pulse("v-1", TOO_FAST)]))
    world.use_mappings(edited(strict(), NOTED))
    world.connect("two", overlay="strict")
    world.sync()
    assert held_at(world) == ["one", "two"]

    world.use_mappings(edited(strict(), MENDED))
    world.settle()

    for name in ("one", "two"):
        assert newest(world, name, "Observation")["valueQuantity"]["value"] == TOO_FAST


# --- a retraction -------------------------------------------------------------------------------


def a_second_visit_taken_back(world: World) -> str:
    """Deliver a second visit, then take it back when no Provenance of it can be made."""
    world.use_mappings(few_mappings)
    world.take(a_short_visit(2))
    world.use_mappings(unproven_second(few_mappings()))
    return world.take(retracted(a_short_visit(2))).id


def test_a_retraction_without_a_provenance_is_kept_and_waits_where_all_see_it(world: World) -> None:
    receipt = a_second_visit_taken_back(world)

    assert held_at(world) == ["ehr"]
    shown = world.bridge.record(receipt, actor="test")
    assert shown is not None
    assert [one["message"] for one in shown["deliveries"][0]["problems"]] == [
        "Provenance: not the second"
    ]
    assert newest(world, "ehr", "Observation")["status"] == "final"


def test_a_retraction_that_waited_is_delivered_by_mended_mappings(world: World) -> None:
    a_second_visit_taken_back(world)

    world.use_mappings(few_mappings)
    world.settle()

    assert held_at(world) == []
    assert newest(world, "ehr", "Observation")["status"] == "entered-in-error"


def test_a_retraction_waits_only_for_the_overlay_that_cannot_prove_it() -> None:
    overlay = (
        f"overlay: p\n{drafts.HEAD}changes:\n  - mapping: provenance\n    at: head.requires\n"
        "    replace:\n      - {check: visit.number != 2, message: not the second}\n"
    )
    harmless = "requires:\n  - {check: visit.number != 9, message: never}\nowner:"
    proven = edited(few_mappings(), {drafts.PROVENANCE: ("owner:", harmless)})()
    by_name = {**proven.by_name, "overlays/p.yaml": overlay.encode()}
    world = World(mapped=lambda: Files(by_name=by_name))
    world.connect("plain")
    world.connect("over", overlay="p")
    first = a_short_visit()
    world.take(first)
    second = amended(first, lambda new: new["visit"].update(number=2))
    world.take(second)

    world.take(retracted(second))

    assert held_at(world) == ["over"]
    assert newest(world, "plain", "Observation")["status"] == "entered-in-error"


def test_a_retraction_of_what_was_never_there_waits_for_nothing(world: World) -> None:
    error = retracted(a_short_visit(2))
    kept = ("schema", "session_id", "version", "recorded_at", "as_of", "status", "labels")
    world.use_mappings(unproven_second(few_mappings()))

    world.take({name: error[name] for name in kept})

    assert held_at(world) == []


def test_a_destination_is_added_though_a_record_of_before_has_no_provenance_now() -> None:
    world = World(mapped=few_mappings)
    world.accept(a_short_visit(1, patient="pt-2"))
    world.accept(a_short_visit(2))
    world.accept(a_short_visit(3))
    world.accept(retracted(a_short_visit(3)))
    world.use_mappings(unproven_second(few_mappings()))

    world.connect()
    world.settle()

    assert held_at(world) == ["ehr"]
    world.use_mappings(few_mappings)
    world.settle()
    assert held_at(world) == []
    assert len([one for one in world.ledger() if one.type == "Observation"]) == 2


# --- what is newest -----------------------------------------------------------------------------


@pytest.mark.parametrize("added", ["before", "after"])
def test_an_incomplete_patient_replaces_no_complete_one_whenever_its_overlay_came(
    added: str,
) -> None:
    world = World(mapped=strict)
    if added == "before":
        world.connect("over", overlay="strict")
    world.take(a_short_visit(1))
    second = a_short_visit(2)
    second["patient"]["birth_date"] = "2026-04"
    assert [one.code for one in world.take(second).findings] == ["R216"]

    if added == "after":
        world.connect("over", overlay="strict")
    world.settle()

    assert newest(world, "over", "Patient")["birthDate"] == "1984-06-11"


@pytest.mark.parametrize("seed", range(1, 5))
def test_of_two_translations_of_one_version_the_later_one_is_sent(seed: int) -> None:
    world = World(seed=seed, mapped=strict)
    world.connect("one", overlay="strict")
    world.take(a_short_visit(vitals=[a_pulse("v-1", TOO_FAST)]))
    wrong = {STRICT_PULSE: ("value < 200", "value < 300"), **NOTED}
    wrong_pulse = edited(
        edited(strict(), wrong)(), {STRICT_PULSE: ("quantity(v.heart_rate)", "quantity(1, '/min')")}
    )
    world.use_mappings(wrong_pulse)
    world.connect("two", overlay="strict")

    world.use_mappings(edited(strict(), MENDED))
    world.settle()

    assert newest(world, "one", "Observation")["valueQuantity"]["value"] == TOO_FAST


# --- what people see ----------------------------------------------------------------------------


def test_what_an_overlay_could_not_translate_is_shown_with_its_destination() -> None:
    world = World(mapped=strict)
    world.connect("plain")
    world.connect("strict", overlay="strict")

    receipt = world.take(a_short_visit(vitals=[a_pulse("v-1", TOO_FAST)]))

    shown = world.bridge.record(receipt.id, actor="test")
    assert shown is not None
    said = {one["destination"]: one["problems"] for one in shown["deliveries"]}
    (problem,) = said["strict"]
    assert said["plain"] == []
    assert problem["message"] == "Observation: too fast"
    (waiting,) = world.bridge.status().waiting
    assert waiting["destination"] == "strict"
    assert waiting["problems"] == [f"E402 {problem['line']} vitals[0].heart_rate.value"]


def test_a_destination_added_later_is_shown_with_what_its_overlay_could_not_translate() -> None:
    world = World(mapped=strict)
    world.take(a_short_visit(vitals=[a_pulse("v-1", TOO_FAST)]))

    world.connect("strict", overlay="strict")

    (waiting,) = world.bridge.status().waiting
    assert [line.split()[0] for line in waiting["problems"]] == ["E402"]


def test_mended_mappings_take_the_problems_away() -> None:
    world = World(mapped=strict)
    world.connect("strict", overlay="strict")
    receipt = world.take(a_short_visit(vitals=[a_pulse("v-1", TOO_FAST)]))

    world.use_mappings(edited(strict(), MENDED))
    world.settle()

    shown = world.bridge.record(receipt.id, actor="test")
    assert shown is not None
    assert [one["problems"] for one in shown["deliveries"]] == [[], [], []]


# --- a set that does not fit --------------------------------------------------------------------
