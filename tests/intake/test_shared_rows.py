"""A row of the patient that a later record calls wrong or keeps back; absence says nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.factories import World, a_pulse, a_short_visit, a_visit, amended, retracted

Row = dict[str, Any]
SAID = "2026-02-20T10:00:00-05:00"
ROWS: dict[str, Row] = {
    "conditions": {
        "id": "c-1",
        "as_of": SAID,
        "code": {"key": "fibromyalgia"},
        "role": "comorbidity",
        "clinical_status": "active",
        "verification_status": "confirmed",
    },
    "allergies": {
        "id": "g-1",
        "as_of": SAID,
        "kind": "allergy",
        "substance": {"text": "Latex"},
        "verification_status": "confirmed",
    },
    "medications_current": {
        "id": "m-1",
        "as_of": SAID,
        "drug": {"text": "Sertraline"},
        "status": "active",
    },
    "consents": {"id": "s-1", "kind": "treatment", "status": "active", "signed_at": SAID},
}
MAPPED = {
    "conditions": "condition",
    "allergies": "allergy-history",
    "medications_current": "current-medication",
    "consents": "consent",
}
WRONG = {
    "conditions": {"verification_status": "entered-in-error"},
    "allergies": {"verification_status": "entered-in-error"},
    "medications_current": {"status": "entered-in-error"},
    "consents": {"status": "entered-in-error"},
}
PART = pytest.mark.parametrize("part", sorted(ROWS))


def a_visit_with(part: str, number: int = 1, **changes: Any) -> Row:
    return {**a_short_visit(number), part: [{**ROWS[part], **changes}]}


def standing(world: World, reference: str, name: str = "ehr") -> str:
    """What the EHR shows of it: "error", or "true"."""
    body = world.ehrs[name].read(reference)
    status = body.get("status")
    if body["resourceType"] == "Condition":
        status = body["verificationStatus"]["coding"][0]["code"]
        assert ("clinicalStatus" in body) is (status != "entered-in-error")
    return "error" if status == "entered-in-error" else "true"


def sent(world: World, part: str, number: int = 1) -> tuple[Row, str]:
    record = a_visit_with(part, number)
    (reference,) = world.of_mapping(world.take(record), MAPPED[part])
    assert standing(world, reference) == "true"
    return record, reference


def of_part(part: str, **changes: Any) -> Callable[[Row], None]:
    return lambda record: record[part][0].update(changes)


@PART
def test_a_row_that_the_next_version_labels_is_taken_back(world: World, part: str) -> None:
    record, reference = sent(world, part)

    world.take(amended(record, of_part(part, labels=["psychotherapy-note"])))

    assert standing(world, reference) == "error"


@PART
def test_a_row_that_a_later_visit_labels_is_taken_back(world: World, part: str) -> None:
    _, reference = sent(world, part)

    world.take(a_visit_with(part, 3, labels=["psychotherapy-note"]))

    assert standing(world, reference) == "error"


@PART
def test_a_row_that_the_next_version_says_was_wrong_is_taken_back(world: World, part: str) -> None:
    record, reference = sent(world, part)

    world.take(amended(record, of_part(part, **WRONG[part])))

    assert standing(world, reference) == "error"


@PART
def test_a_row_that_a_later_visit_says_was_wrong_is_taken_back(world: World, part: str) -> None:
    _, reference = sent(world, part)

    world.take(a_visit_with(part, 3, **WRONG[part]))

    assert standing(world, reference) == "error"


def test_of_a_medication_that_was_wrong_the_id_is_enough(world: World) -> None:
    record, reference = sent(world, "medications_current")
    wrong = [{"id": "m-1", "status": "entered-in-error"}]

    world.take(amended(record, lambda new: new.update(medications_current=wrong)))

    assert standing(world, reference) == "error"


@PART
def test_a_row_that_is_only_not_there_any_more_stays(world: World, part: str) -> None:
    record, reference = sent(world, part)

    world.take(amended(record, lambda new: new.pop(part)))
    world.take(a_short_visit(3))

    assert standing(world, reference) == "true"


@PART
def test_an_older_visit_takes_nothing_back(world: World, part: str) -> None:
    newer = {"as_of": "2026-03-09T08:00:00-05:00"} if "as_of" in ROWS[part] else {}
    (reference,) = world.of_mapping(world.take(a_visit_with(part, 9, **newer)), MAPPED[part])

    world.take(a_visit_with(part, 2, labels=["psychotherapy-note"]))

    assert standing(world, reference) == "true"


@PART
def test_what_was_taken_back_stands_again_once_the_newest_record_says_so(
    world: World, part: str
) -> None:
    _, reference = sent(world, part)
    later = a_visit_with(part, 3, labels=["psychotherapy-note"])
    world.take(later)

    world.take(amended(later, of_part(part, labels=[])))

    assert standing(world, reference) == "true"


@PART
def test_what_was_taken_back_stands_again_where_that_visit_was_an_error(
    world: World, part: str
) -> None:
    _, reference = sent(world, part)
    later = a_visit_with(part, 3, labels=["psychotherapy-note"])
    world.take(later)

    world.take(retracted(later))

    assert standing(world, reference) == "true"


def test_it_is_taken_back_once_and_a_new_destination_never_sees_it(world: World) -> None:
    record, reference = sent(world, "allergies")
    second = amended(record, of_part("allergies", labels=["psychotherapy-note"]))
    world.take(second)

    third = world.take(amended(second, lambda new: new["vitals"].append(a_pulse("v-9", 80))))
    other = world.connect("other")
    world.sync()

    assert len(world.ehr.history(reference)) == 2
    assert world.changes(third).count("Observation") == 1
    assert other.history(reference) == []


def test_a_row_with_a_held_element_takes_nothing_back(world: World) -> None:
    record, reference = sent(world, "consents")
    both = {"signed_at": "2026-02-20T10:00:00-05:00", "withdrawn_at": "2026-02-19T10:00:00-05:00"}

    receipt = world.take(amended(record, of_part("consents", recipient="ehr", **both)))

    assert [one.level for one in receipt.findings] == ["held"]
    assert standing(world, reference) == "true"


def test_a_plan_and_its_goals_with_the_label_are_taken_back(world: World) -> None:
    plan = {
        "id": "p-1",
        "as_of": SAID,
        "status": "active",
        "intent": "plan",
        "goals": [{"id": "g-1", "status": "active", "description": "Sleep"}],
    }
    record = a_short_visit(plan=plan)
    receipt = world.take(record)
    made = [*world.of_mapping(receipt, "care-plan"), *world.of_mapping(receipt, "goal")]

    world.take(amended(record, lambda new: new["plan"].update(labels=["psychotherapy-note"])))

    bodies = [world.ehr.read(one) for one in made]
    words = [one.get("lifecycleStatus", one.get("status")) for one in bodies]
    assert words == ["entered-in-error", "entered-in-error"]


def test_a_record_that_stays_as_a_whole_says_nothing_of_its_rows(world: World) -> None:
    _, reference = sent(world, "conditions")

    world.take({**a_visit_with("conditions", 3), "labels": ["psychotherapy-note"]})

    assert standing(world, reference) == "true"


def test_a_treatment_that_turns_out_to_be_another_kind_leaves_one_resource(world: World) -> None:
    tried = {"id": "t-1", "kind": "medication", "name": "ECT", "outcome": "response"}
    record = a_short_visit(consultation={"prior_treatments": [tried]})
    (reference,) = world.of_mapping(world.take(record), "prior-medication")

    def to_ect(new: Row) -> None:
        new["consultation"]["prior_treatments"][0]["kind"] = "ect"

    receipt = world.take(amended(record, to_ect))

    assert standing(world, reference) == "error"
    assert len(world.of_mapping(receipt, "prior-procedure")) == 1


def test_what_a_part_2_record_said_is_not_repeated_to_take_it_back(world: World) -> None:
    given = {"id": "s-2", "kind": "part-2", "status": "active", "signed_at": SAID}
    withdrawn = {**given, "status": "withdrawn", "withdrawn_at": "2026-03-02T10:00:00-05:00"}
    world.take({**a_visit_with("conditions"), "labels": ["part-2"], "consents": [given]})
    world.take({**a_short_visit(2), "consents": [withdrawn]})

    receipt = world.take(a_visit_with("conditions", 3, labels=["psychotherapy-note"]))

    (held,) = world.rows("held")
    assert [one.delivery_id for one in receipt.owed] == [held.id]
    assert held.reason.startswith("consent")


def test_a_visit_points_to_nothing_that_a_newer_plan_takes_out_of_our_hands() -> None:
    """The newer plan says that the EHR has made the appointment itself: ours never comes."""
    world = World()
    world.connect()
    older, newer = a_visit(1), a_visit(2)
    planned = {"id": "pv-9", "kind": "treatment", "status": "done"}
    at = {"start": older["visit"]["start"], "end": older["visit"]["end"]}
    older["plan"]["visits"] = [{**planned, **at, "session_id": older["session_id"]}]
    newer["plan"]["visits"] = [{**planned, **at, "ehr_appointment": "a-77"}]

    for record in (newer, older):
        world.take(record)
    world.settle()

    assert set(world.states()) == {"delivered"}
