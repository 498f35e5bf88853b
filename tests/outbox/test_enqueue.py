"""What a record version means for a destination: what is owed, what is kept, what is taken back."""

from typing import Any

import pytest

from tests.factories import World, a_pulse, a_short_visit, a_visit, amended, rate, retracted


def test_the_first_version_owes_everything_and_its_provenance_names_exactly_that(
    world: World,
) -> None:
    receipt = world.take(a_visit(1))
    (owed,) = receipt.owed

    (provenance,) = world.ehr.all_of("Provenance")
    named = {target["reference"] for target in provenance["target"]}
    assert named == {f"{c.identity.type}/{c.identity.id}" for c in owed.changes}
    assert named == set(world.ehr.references()) - {f"Provenance/{provenance['id']}"}


def test_an_identical_record_owes_nothing(world: World) -> None:
    record = a_visit(1)
    world.take(record)
    before = world.rows()

    receipt = world.take(record)

    assert (receipt.state, receipt.owed) == ("repeated", ())
    assert world.rows() == before


def test_a_new_version_that_changes_nothing_sends_nothing(world: World) -> None:
    record = a_visit(1)
    world.take(record)
    world.ehr.transport.sent.clear()

    receipt = world.take(amended(record))

    assert world.changes(receipt) == []
    assert world.ehr.transport.sent == []
    assert set(world.states()) == {"delivered"}


def test_an_amended_vital_sends_it_the_note_and_a_provenance(world: World) -> None:
    record = a_visit(1)
    world.take(record)
    world.ehr.transport.sent.clear()

    receipt = world.take(amended(record, rate(90)))

    assert world.changes(receipt) == ["DocumentReference", "Observation"]
    (sent,) = world.ehr.requests("transaction")
    kinds = sorted(entry["resource"]["resourceType"] for entry in sent["entry"])
    assert kinds == ["DocumentReference", "Observation", "Provenance"]
    newest = next(e["resource"] for e in sent["entry"] if "target" in e["resource"])
    targets = {target["reference"].split("/")[0] for target in newest["target"]}
    assert targets == {"DocumentReference", "Observation"}


def test_a_row_that_leaves_is_marked_and_comes_back_when_it_returns(world: World) -> None:
    record = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 75, hour=10)])
    pulses = set(world.of_mapping(world.take(record), "vital-heart-rate"))
    without = amended(record, lambda r: r["vitals"].pop())
    kept = set(world.of_mapping(world.take(without), "vital-heart-rate"))
    (left,) = pulses - kept

    again = amended(without, lambda r: r["vitals"].append(a_pulse("v-2", 75, hour=10)))
    world.take(again)

    statuses = [one["status"] for one in world.ehr.history(left)]
    assert statuses == ["final", "entered-in-error", "final"]
    assert [len(world.ehr.history(one)) for one in kept] == [1]


def test_what_was_retracted_once_is_not_retracted_again(world: World) -> None:
    record = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 75, hour=10)])
    world.take(record)
    without = amended(record, lambda r: r["vitals"].pop())
    world.take(without)

    receipt = world.take(amended(without))

    assert world.changes(receipt) == []


def of_language(world: World) -> list[str]:
    (patient,) = world.ehr.all_of("Patient")
    history = world.ehr.history(f"Patient/{patient['id']}")
    return [one["communication"][0]["language"]["coding"][0]["code"] for one in history]


def speaking(record: dict[str, Any], language: str, **parts: Any) -> dict[str, Any]:
    return {**record, "patient": {**record["patient"], "language": language, **parts}}


def test_safety_08_an_older_visit_amended_after_a_newer_one_turns_nothing_back(
    world: World,
) -> None:
    first = speaking(a_short_visit(1), "en")
    world.take(first)
    world.take(speaking(a_short_visit(3), "es"))

    receipt = world.take(amended(speaking(first, "fr"), rate(90)))

    assert of_language(world) == ["en", "es"]
    assert world.changes(receipt) == ["DocumentReference", "Observation"]


AT = "2026-03-05T08:00:00-05:00"


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ({"as_of": AT}, {"as_of": "2026-03-04T08:00:00-05:00"}, "en"),
        ({"as_of": AT}, {"as_of": "2026-03-06T08:00:00-05:00"}, "es"),
        ({"as_of": AT}, {"as_of": AT}, "es"),  # recorded later
        ({"as_of": AT}, {"as_of": "2026-03-05T13:00:00+00:00"}, "es"),  # the same moment
    ],
)
def test_the_newest_contributor_decides_by_as_of_then_by_when_it_was_recorded(
    world: World, first: dict[str, str], second: dict[str, str], shown: str
) -> None:
    world.take(speaking(a_short_visit(1), "en", **first))
    world.take(speaking(a_short_visit(2), "es", **second))

    assert of_language(world)[-1] == shown


def test_recorded_at_decides_whichever_came_first(world: World) -> None:
    world.take(speaking(a_short_visit(2), "es", as_of=AT))
    world.take(speaking(a_short_visit(1), "en", as_of=AT))

    assert of_language(world) == ["es"]


def test_a_retracted_visit_falls_back_to_the_next_contributor(world: World) -> None:
    first, second = speaking(a_short_visit(1), "en"), speaking(a_short_visit(2), "es")
    world.take(first)
    world.take(second)

    world.take(retracted(second))

    assert of_language(world) == ["en", "es", "en"]
    assert world.rows("held", "parked") == []


def test_safety_08_what_is_shared_is_never_retracted_even_when_nobody_is_left(world: World) -> None:
    record = a_visit(1)
    world.take(record)

    receipt = world.take(retracted(record))

    assert set(world.changes(receipt)) == {
        "DocumentReference",
        "Encounter",
        "MedicationAdministration",
        "MedicationRequest",
        "Observation",
    }
    for kind in ("Patient", "CarePlan", "Condition", "Goal", "Practitioner", "Organization"):
        for one in world.ehr.all_of(kind):
            assert len(world.ehr.history(f"{kind}/{one['id']}")) == 1
    (dose,) = world.ehr.all_of("MedicationAdministration")
    assert dose["status"] == "entered-in-error"


def test_a_session_that_was_an_error_may_be_sent_again(world: World) -> None:
    record = a_visit(1)
    world.take(record)
    error = retracted(record)
    world.take(error)

    world.take(amended(error, lambda r: r.update(status="active")))

    (dose,) = world.ehr.all_of("MedicationAdministration")
    history = world.ehr.history(f"MedicationAdministration/{dose['id']}")
    assert [one["status"] for one in history] == ["completed", "entered-in-error", "completed"]
    assert world.differing() == []


def without_unit(record: dict[str, Any]) -> None:
    del record["administrations"][0]["dose"]["unit"]


def without_dose(record: dict[str, Any]) -> None:
    record["plan"]["phases"][0]["dose_per_weight"]["unit"] = "mg"


def test_safety_08_a_held_element_keeps_the_earlier_value_until_the_record_is_mended(
    world: World,
) -> None:
    record = a_visit(1)
    (dose,) = world.of_mapping(world.take(record), "medication-administration")
    held = amended(record, without_unit)

    receipt = world.take(held)

    assert [f"{one.type}/{one.id}" for one in receipt.owed[0].kept if "Med" in one.type] == [dose]
    assert len(world.ehr.history(dose)) == 1

    mended = amended(record)
    mended["version"] = 3
    mended["administrations"][0]["dose"]["value"] = 37
    world.take(mended)

    doses = [one["dosage"]["dose"]["value"] for one in world.ehr.history(dose)]
    assert [str(one) for one in doses] == ["36.25", "37"]


def test_a_held_plan_is_not_turned_loose_by_an_older_visit(world: World) -> None:
    first, last = a_visit(1), a_visit(6)
    world.take(first)
    (plan,) = world.of_mapping(world.take(last), "care-plan")
    before = len(world.ehr.history(plan))
    world.take(amended(last, without_dose))

    world.take(amended(first, rate(90)))

    assert len(world.ehr.history(plan)) == before


def test_each_destination_is_owed_what_it_lacks(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    world.connect("other")
    world.sync()

    receipt = world.take(amended(record, rate(90)))

    assert world.changes(receipt, "ehr") == world.changes(receipt, "other")
    assert world.differing("ehr") == world.differing("other") == []
    assert {len(world.ehrs["other"].history(one)) for one in world.ehrs["other"].references()} == {
        1,
        2,
    }
