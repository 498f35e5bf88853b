"""What must never happen, as far as a record alone can make it happen."""

import pytest

from tests.records.visits import ABSENT, a_visit, edited, found, load
from tests.records.whole import COURSE

SCREEN = "/consultation/screen"


@pytest.mark.parametrize(
    "edit", [("/answer", ABSENT), ("/answer", "not-checked"), ("/answer", "unknown")]
)
def test_a_screen_without_an_answer_is_never_a_no(edit: tuple[str, object]) -> None:
    record = edited(COURSE, (f"{SCREEN}/0{edit[0]}", edit[1]))

    checked = load(record)

    assert checked.document["consultation"]["screen"][0].get("answer") != "no"
    said = [one.message for one in checked.findings if one.code == "R325"]
    assert said == ["not checked: uncontrolled-hypertension; that is not the same as no"]


def test_a_screen_that_left_a_question_out_says_so() -> None:
    record = edited(COURSE, (f"{SCREEN}/0", ABSENT))

    assert ("warning", "R325", SCREEN) in found(record)


def test_a_consultation_that_screened_nothing_says_so() -> None:
    record = edited(COURSE, (SCREEN, ABSENT))

    message = load(record).findings[0].message
    assert "pregnancy" in message
    assert "psychosis" in message


def test_an_unmapped_code_on_the_screen_answers_no_question_of_the_list() -> None:
    own = {"system": "urn:oid:2.16.840.1.113883.19.7", "code": "X1"}
    record = edited(COURSE, (f"{SCREEN}/1/item", own))

    said = [one.message for one in load(record).findings if one.code == "R325"]
    assert said == ["not checked: psychosis; that is not the same as no"]


def test_two_answers_that_differ_leave_the_question_unchecked() -> None:
    again = {"id": "sc-9", "item": {"key": "pregnancy"}, "answer": "not-applicable"}
    record = edited(COURSE, (f"{SCREEN}/-", again))

    codes = [(level, code) for level, code, _ in found(record)]
    assert codes == [("held", "R218"), ("held", "R218"), ("warning", "R325")]


def test_a_yes_is_never_held_for_a_no_beside_it() -> None:
    again = {"id": "sc-9", "item": {"key": "pregnancy"}, "answer": "yes"}
    record = edited(COURSE, (f"{SCREEN}/-", again))

    screen = load(record).document["consultation"]["screen"]
    answers = [row["answer"] for row in screen if row["item"].get("key") == "pregnancy"]
    assert answers == ["yes"]


def test_an_infusion_that_was_not_closed_is_flagged_and_never_closed() -> None:
    running = [("/administrations/0/end", ABSENT), ("/administrations/0/status", "in-progress")]
    record = edited(a_visit(), *running)

    checked = load(record)

    assert [one.code for one in checked.findings] == ["R308"]
    assert checked.document["administrations"] == record["administrations"]


@pytest.mark.parametrize("edit", [
    ("/waste/0/witness", "st-nurse"),
    ("/waste/0/giver", "st-witness"),
])  # fmt: skip
def test_the_giver_is_never_the_witness_of_the_waste(edit: tuple[str, str]) -> None:
    checked = load(edited(COURSE, edit))

    assert found(edited(COURSE, edit))[0] == ("held", "R217", "/waste/0/witness")
    assert "witness" not in checked.document["waste"][0]


def test_who_gave_the_dose_is_no_witness_of_its_waste_even_where_no_giver_is_named() -> None:
    record = edited(COURSE, ("/waste/0/giver", ABSENT), ("/waste/0/witness", "st-nurse"))

    assert found(record)[0] == ("held", "R217", "/waste/0/witness")


def test_a_waste_without_its_witness_keeps_its_amount() -> None:
    record = edited(COURSE, ("/waste/0/witness", "st-nurse"))

    assert load(record).document["waste"][0]["amount"] == COURSE["waste"][0]["amount"]


@pytest.mark.parametrize(
    ("reading", "value"),
    [("spo2", 45), ("respiratory_rate", 0), ("heart_rate", 20)],
)
def test_a_crisis_reading_is_never_held(reading: str, value: int) -> None:
    record = edited(COURSE, (f"/vitals/1/{reading}/value", value))

    checked = load(record)

    assert checked.document["vitals"][1][reading]["value"] == value
    assert {one.level.value for one in checked.findings} == {"warning"}
