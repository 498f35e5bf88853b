from typing import Any

import pytest

from fhirbridge.records.findings import Level
from tests.records.visits import ABSENT, NASAL, a_visit, amount, edited, findings, found, load

DOSE, SPO2, ITEM = "/administrations/0/dose", "/vitals/0/spo2", "/assessments/0/items/0"
MEAN = "/vitals/1/blood_pressure/mean"
CANNOT_BE_TRUE = [
    # measures
    (f"{DOSE}/unit", ABSENT, "R201", DOSE),
    (f"{DOSE}/unit", "mgg", "R202", DOSE),
    (f"{DOSE}/unit", "mmHg", "R203", DOSE),
    (DOSE, {"unit": "mg"}, "R204", DOSE),
    (f"{DOSE}/absent_reason", "unknown", "R205", DOSE),
    (f"{DOSE}/value", -1, "R206", DOSE),
    ("/vitals/0/heart_rate/value", -72, "R206", "/vitals/0/heart_rate"),
    ("/plan/phases/0/dose_per_weight/unit", "mg", "R203", "/plan/phases/0/dose_per_weight"),
    ("/plan/phases/0/dose_per_weight/low", 2, "R210", "/plan/phases/0/dose_per_weight"),
    ("/plan/phases/0/dose_per_weight/low", -1, "R206", "/plan/phases/0/dose_per_weight"),
    # vital signs
    (f"{SPO2}/value", 137, "R207", SPO2),
    ("/vitals/0/temperature/value", 400, "R207", "/vitals/0/temperature"),
    ("/vitals/0/temperature", amount("98.6", "Cel"), "R207", "/vitals/0/temperature"),
    ("/vitals/0/weight", amount(72500, "kg"), "R207", "/vitals/0/weight"),
    ("/vitals/0/height", amount(1680, "cm"), "R207", "/vitals/0/height"),
    (MEAN, amount(1060, "mmHg"), "R207", MEAN),
    # scores
    (f"{ITEM}/value", 4, "R208", ITEM),
    (f"{ITEM}/number", 10, "R212", ITEM),
    ("/assessments/0/total", 28, "R209", "/assessments/0/total"),
    ("/assessments/0/total", -1, "R209", "/assessments/0/total"),
    ("/assessments/0/total", 18, "R211", "/assessments/0/total"),
    # spans
    ("/visit/end", "2026-03-02T08:59:59-05:00", "R210", "/visit/end"),
    ("/administrations/0/end", "2026-03-02T14:29:00Z", "R210", "/administrations/0/end"),
    ("/conditions/0/abatement", "2018-12", "R210", "/conditions/0/abatement"),
    ("/plan/phases/0/end", "2026-03-01", "R210", "/plan/phases/0/end"),
    ("/plan/goals/0/due", "2026-03-01", "R210", "/plan/goals/0/due"),
    # people
    ("/staff/0/npi", "1234567890", "R215", "/staff/0/npi"),
    ("/clinic/npi", "123", "R215", "/clinic/npi"),
    ("/patient/birth_date", "2026-04", "R216", "/patient/birth_date"),
]


@pytest.mark.parametrize(("edit", "value", "code", "pointer"), CANNOT_BE_TRUE)
def test_an_element_that_cannot_be_true_is_held_and_the_rest_goes_on(
    edit: str, value: Any, code: str, pointer: str
) -> None:
    checked = load(edited(a_visit(), (edit, value)))

    held = [finding for finding in checked.findings if finding.level is Level.HELD]
    assert (held[0].code, held[0].pointer) == (code, pointer)
    assert all(finding.row for finding in held)


@pytest.mark.parametrize(("edit", "value", "code", "pointer"), CANNOT_BE_TRUE)
def test_nothing_is_held_twice(edit: str, value: Any, code: str, pointer: str) -> None:
    held = [found for found in found(edited(a_visit(), (edit, value))) if found[0] == "held"]

    assert held == [("held", code, pointer)]


@pytest.mark.parametrize(
    ("pointer", "row"),
    [
        ("/vitals/2/spo2/value", "vitals/v-3"),
        ("/assessments/0/items/8/value", "assessments/as-1"),
        ("/administrations/0/rates/0/rate/value", "administrations/a-1"),
        ("/visit/end", "visit"),
        ("/plan/phases/0/end", "plan.phases/ph-1"),
    ],
)
def test_a_held_element_names_the_outermost_row_it_stands_in(pointer: str, row: str) -> None:
    wrong = "2020-01-01T00:00:00Z" if pointer == "/visit/end" else -3
    record = edited(a_visit(), (pointer, "2020-01-01" if "phases" in pointer else wrong))

    assert findings(record)[0].row == row


def test_a_held_element_is_gone_from_the_document_and_everything_else_is_there() -> None:
    record = edited(a_visit(), ("/vitals/2/spo2/value", 137))

    document = load(record).document

    assert document == edited(a_visit(), ("/vitals/2/spo2", ABSENT))


def test_a_dose_without_a_unit_leaves_the_administration_in_the_record() -> None:
    document = load(edited(a_visit(), (f"{DOSE}/unit", ABSENT))).document

    assert document == edited(a_visit(), (DOSE, ABSENT))


def test_an_impossible_answer_is_held_alone_while_the_total_may_be_true() -> None:
    record = edited(a_visit(), (f"{ITEM}/value", 4))

    document = load(record).document

    assert [item["number"] for item in document["assessments"][0]["items"]] == list(range(2, 10))
    assert document["assessments"][0]["total"] == 19


def test_a_total_that_no_answer_could_give_is_held_with_the_impossible_one() -> None:
    record = edited(a_visit(), (f"{ITEM}/value", 4), ("/assessments/0/total", 20))

    assert found(record) == [("held", "R208", ITEM), ("held", "R211", "/assessments/0/total")]


def test_a_prorated_total_lies_between_what_the_missing_answers_allow() -> None:
    edits = [("/assessments/0/items/8", ABSENT), ("/assessments/0/prorated", True)]
    possible = edited(a_visit(), *edits, ("/assessments/0/total", 20))
    impossible = edited(a_visit(), *edits, ("/assessments/0/total", 22))

    assert found(possible) == []
    assert found(impossible) == [("held", "R211", "/assessments/0/total")]


def test_two_answers_to_one_item_are_held_both() -> None:
    record = edited(a_visit(), ("/assessments/0/items/1/number", 1))

    assert [code for _, code, _ in found(record)] == ["R213", "R213"]


def test_an_instrument_of_ones_own_is_held_to_the_range_it_states() -> None:
    own = {"text": "House mood scale", "unit": "points", "min": 0, "max": 50}
    row = {"id": "as-9", "instrument": own, "time": "2026-03-02T09:03:00-05:00", "total": 51}
    record = edited(a_visit(), ("/assessments/-", row))

    assert found(record) == [
        ("held", "R209", "/assessments/1/total"),
        ("held", "R214", "/assessments/1"),
    ]


def test_a_pressure_with_nothing_left_is_held_whole() -> None:
    record = edited(
        a_visit(),
        ("/vitals/0/blood_pressure/systolic/value", 1240),
        ("/vitals/0/blood_pressure/diastolic/unit", "bpm"),
    )

    checked = load(record)

    assert found(record) == [
        ("held", "R202", "/vitals/0/blood_pressure/diastolic"),
        ("held", "R207", "/vitals/0/blood_pressure/systolic"),
        ("held", "R214", "/vitals/0/blood_pressure"),
    ]
    assert "blood_pressure" not in checked.document["vitals"][0]


def test_a_pressure_with_one_side_left_goes_on() -> None:
    record = edited(a_visit(), ("/vitals/0/blood_pressure/systolic/value", 1240))

    assert load(record).document["vitals"][0]["blood_pressure"] == {
        "diastolic": {"value": 78, "unit": "mmHg"}
    }


def test_a_row_with_no_reading_left_is_held_whole_and_named() -> None:
    row = {"id": "v-9", "time": "2026-03-02T10:45:00-05:00", "spo2": amount(137, "%")}
    record = edited(a_visit(), ("/vitals/-", row))

    checked = load(record)

    assert found(record) == [("held", "R207", "/vitals/3/spo2"), ("held", "R214", "/vitals/3")]
    assert [finding.row for finding in checked.findings] == ["vitals/v-9", "vitals/v-9"]
    assert [row["id"] for row in checked.document["vitals"]] == ["v-1", "v-2", "v-3"]


def test_a_rate_that_cannot_be_read_takes_its_segment_with_it() -> None:
    record = edited(a_visit(), ("/administrations/0/rates/0/rate/unit", ABSENT))

    assert found(record)[:2] == [
        ("held", "R201", "/administrations/0/rates/0/rate"),
        ("held", "R214", "/administrations/0/rates/0"),
    ]


def test_a_reason_stands_in_for_a_value() -> None:
    record = edited(a_visit(), (DOSE, {"absent_reason": "unknown"}))

    assert load(record).document["administrations"][0]["dose"] == {"absent_reason": "unknown"}


def test_an_assessment_that_was_not_done_says_nothing_and_goes_on() -> None:
    row = {"id": "as-9", "instrument": {"key": "gad-7"}, "time": "2026-03-02T09:03:00-05:00"}
    record = edited(a_visit(), ("/assessments/-", {**row, "status": "not-done"}))

    assert found(record) == []


def test_a_count_of_sprays_is_a_dose() -> None:
    record = edited(a_visit(NASAL), (DOSE, amount(6, "spray")))

    assert load(record).document["administrations"][0]["dose"] == amount(6, "spray")


def test_a_witness_who_is_the_giver_on_another_staff_row_is_held() -> None:
    giver = a_visit()["staff"][0]
    second = {**giver, "id": "st-again", "role": "witness"}
    waste = {
        "id": "w-1", "time": "2026-03-02T10:15:00-05:00", "drug": {"key": "ketamine"},
        "amount": amount(10, "mg"), "giver": giver["id"], "witness": "st-again",
    }  # fmt: skip
    record = edited(a_visit(waste=[waste]), ("/staff/-", second))

    assert ("held", "R217", "/waste/0/witness") in found(record)


@pytest.mark.parametrize("sign", ["µ", "μ"])
def test_a_microgram_may_be_written_with_either_sign(sign: str) -> None:
    dose = amount(36250, f"{sign}g")

    assert found(edited(a_visit(), (DOSE, dose))) == []


@pytest.mark.parametrize(
    ("instrument", "total"),
    [
        ({"key": "ham-d-21"}, 67),
        ({"key": "bdi", "version": "FS"}, 22),
        ({"key": "bdi", "version": "IA"}, 64),
        ({"key": "whodas", "version": "12"}, 61),
        ({"key": "whodas", "unit": "%"}, 101),
        ({"key": "cadss", "version": "23"}, 93),
        ({"key": "pain-vas", "unit": "points"}, 11),
        ({"key": "pain-vas", "unit": "mm"}, 101),
        ({"key": "pcl-5", "subscale": "C"}, 9),
        ({"key": "rass"}, 5),
    ],
)
def test_a_total_is_held_to_the_range_of_its_version_unit_or_subscale(
    instrument: dict[str, str], total: int
) -> None:
    row = {"id": "as-9", "instrument": instrument, "time": "2026-03-02T09:03:00-05:00"}
    beyond = edited(a_visit(), ("/assessments/-", {**row, "total": total}))
    within = edited(a_visit(), ("/assessments/-", {**row, "total": total - 1}))

    assert ("held", "R209", "/assessments/1/total") in found(beyond)
    assert found(within) == []
