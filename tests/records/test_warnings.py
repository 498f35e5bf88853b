from typing import Any

import pytest

from fhirbridge.records.findings import Level
from tests.records.visits import (
    ABSENT,
    INTRAMUSCULAR,
    NASAL,
    ORAL,
    Record,
    a_visit,
    amount,
    edited,
    found,
    load,
)

GIVEN = "/administrations/0"
RATES = f"{GIVEN}/rates"

CRISIS = [
    ("/vitals/1/spo2/value", 45),
    ("/vitals/1/spo2/value", 0),
    ("/vitals/1/respiratory_rate/value", 0),
    ("/vitals/1/blood_pressure/systolic/value", 40),
    ("/vitals/1/blood_pressure/diastolic/value", 0),
    ("/vitals/1/heart_rate/value", 20),
    ("/vitals/1/heart_rate/value", 0),
    ("/vitals/1/heart_rate/value", 280),
    ("/vitals/1/blood_pressure/systolic/value", 310),
    ("/vitals/0/temperature/value", 43),
    ("/vitals/1/etco2/value", 0),
    ("/vitals/1/o2_flow/value", 60),
]


@pytest.mark.parametrize(("pointer", "value"), CRISIS)
def test_a_crisis_reading_gets_through_with_a_warning(pointer: str, value: int) -> None:
    record = edited(a_visit(), (pointer, value))

    checked = load(record)

    assert checked.document == record
    assert {finding.level for finding in checked.findings} == {Level.WARNING}
    assert checked.findings[0].pointer == pointer.removesuffix("/value")


def test_a_laryngospasm_gets_through_whole() -> None:
    row: Record = {"id": "v-9", "time": "2026-03-02T09:55:00-05:00", "phase": "during"}
    row |= {"blood_pressure": {"systolic": amount(40, "mmHg")}, "heart_rate": amount(20, "/min")}
    row |= {"spo2": amount(45, "%"), "respiratory_rate": amount(0, "/min")}
    record = edited(a_visit(), ("/vitals/-", row))

    checked = load(record)

    assert checked.document["vitals"][3] == row
    assert {finding.level for finding in checked.findings} == {Level.WARNING}


@pytest.mark.parametrize(
    ("sample", "edits", "code", "pointer"),
    [
        (
            "01",
            [("/vitals/0/blood_pressure/diastolic/value", 130)],
            "R302",
            "/vitals/0/blood_pressure",
        ),
        # doses, rates and durations
        ("01", [(f"{GIVEN}/dose/value", 80), (f"{GIVEN}/rates", [])], "R303", f"{GIVEN}/dose"),
        (INTRAMUSCULAR, [(f"{GIVEN}/dose/value", 150)], "R303", f"{GIVEN}/dose"),
        (ORAL, [(f"{GIVEN}/dose/value", 650)], "R303", f"{GIVEN}/dose"),
        (NASAL, [(f"{GIVEN}/dose/value", 28)], "R303", f"{GIVEN}/dose"),
        ("01", [(f"{RATES}/0/rate/value", 300)], "R304", f"{RATES}/0/rate"),
        ("01", [(f"{RATES}/0/rate", amount(5, "mg/kg/h"))], "R304", f"{RATES}/0/rate"),
        ("01", [(f"{GIVEN}/end", "2026-03-02T11:20:00-05:00")], "R305", f"{GIVEN}/end"),
        ("01", [(f"{RATES}/0/rate/value", 60)], "R306", f"{GIVEN}/dose"),
        ("01", [(f"{GIVEN}/weight_used/value", 80)], "R311", f"{GIVEN}/dose"),
        ("01", [("/orders/0/dose_cap/value", 30)], "R312", f"{GIVEN}/dose"),
        (NASAL, [(f"{GIVEN}/devices/2", ABSENT)], "R313", f"{GIVEN}/devices"),
        # segments
        ("01", [(f"{RATES}/0/end", "2026-03-02T10:11:00-05:00")], "R314", f"{RATES}/0"),
        ("05", [(f"{RATES}/1/start", "2026-03-16T09:49:00-04:00")], "R315", f"{RATES}/1"),
        # times
        ("01", [("/visit/end", "2026-03-02T10:09:00-05:00")], "R307", GIVEN),
        ("01", [("/visit/start", "2026-03-02T09:31:00-05:00")], "R307", GIVEN),
        ("01", [(f"{GIVEN}/end", ABSENT)], "R308", f"{GIVEN}/end"),
        (
            "01",
            [(f"{GIVEN}/end", ABSENT), (f"{GIVEN}/status", "in-progress")],
            "R308",
            f"{GIVEN}/end",
        ),
        ("01", [("/vitals/2/time", "2026-03-02T12:05:00-05:00")], "R316", "/vitals/2/time"),
        (NASAL, [("/vitals/1/time", "2026-03-10T14:29:00-04:00")], "R309", GIVEN),
        (NASAL, [("/vitals/1/blood_pressure", ABSENT)], "R309", GIVEN),
        (NASAL, [("/visit/end", "2026-03-10T15:59:00-04:00")], "R310", "/visit/end"),
        # what is worth a word
        ("01", [(f"{GIVEN}/status", "not-done")], "R320", GIVEN),
        ("01", [("/consents/0/signed_at", ABSENT)], "R321", "/consents/0"),
        ("01", [("/assessments/0/instrument", {"text": "x"})], "R322", "/assessments/0/instrument"),
    ],
)
def test_what_is_unusual_is_sent_with_a_warning(
    sample: str, edits: list[tuple[str, Any]], code: str, pointer: str
) -> None:
    record = edited(a_visit(sample), *edits)

    checked = load(record)

    assert checked.document == record
    assert ("warning", code, pointer) in found(record)


@pytest.mark.parametrize(
    ("sample", "edits"),
    [
        ("01", [("/vitals/0/spo2/value", 50)]),
        ("01", [("/vitals/0/weight", amount("159.8", "lb"))]),
        ("01", [("/vitals/0/temperature", amount("98.6", "degF"))]),
        ("01", [("/vitals/0/height", amount("66.1", "in"))]),
        ("01", [("/vitals/1/etco2", amount("5.1", "kPa"))]),
        ("01", [("/vitals/0/weight", {"absent_reason": "asked-declined"})]),
        # the same dose and rate in other units
        ("01", [(f"{GIVEN}/dose", amount(36250, "ug"))]),
        ("01", [(f"{GIVEN}/dose", amount("0.50", "mg/kg"))]),
        ("01", [(f"{RATES}/0/rate", amount("0.75", "mg/kg/h"))]),
        ("01", [(f"{RATES}/0/rate", amount("12.5", "ug/kg/min"))]),
        ("01", [(f"{RATES}/0/rate/value", 56)]),
        # a home dose need not lie in the visit, nor one that has yet to be given
        ("10", [(f"{GIVEN}/start", "2026-03-13T08:00:00-04:00"), (f"{GIVEN}/setting", "home")]),
        ("10", [(f"{GIVEN}/start", "2026-03-14T08:00:00-04:00"), (f"{GIVEN}/end", ABSENT),
                (f"{GIVEN}/status", "planned")]),
        (NASAL, [("/vitals/1/time", "2026-03-10T14:30:00-04:00")]),
        (NASAL, [("/vitals/1/time", "2026-03-10T15:00:00-04:00")]),
    ],
)  # fmt: skip
def test_what_is_usual_raises_no_warning(sample: str, edits: list[tuple[str, Any]]) -> None:
    assert found(edited(a_visit(sample), *edits)) == []


def with_concentration(record: Record, *values: int) -> Record:
    supplies = [
        {"id": f"s-{n}", "concentration": amount(value, "mg/mL")} for n, value in enumerate(values)
    ]
    return edited(record, (f"{GIVEN}/supplies", supplies))


def test_a_volume_rate_is_checked_by_its_concentration() -> None:
    right = edited(a_visit(), (f"{RATES}/0/rate", amount("54.375", "mL/h")))
    wrong = edited(a_visit(), (f"{RATES}/0/rate", amount("27", "mL/h")))

    assert found(with_concentration(right, 1)) == []
    assert ("warning", "R306", f"{GIVEN}/dose") in found(with_concentration(wrong, 1))


def test_a_volume_rate_of_unknown_or_several_concentrations_is_not_checked() -> None:
    wrong = edited(a_visit(), (f"{RATES}/0/rate", amount("27", "mL/h")))

    assert found(wrong) == []
    assert found(with_concentration(wrong, 1, 2)) == []


@pytest.mark.parametrize("drug", [{"key": "ketamine"}, {"text": "Ketamine in saline"}])
def test_the_dose_of_a_mixture_is_reckoned_by_its_strength(drug: Record) -> None:
    bag = [
        {"id": "in-1", "drug": {"key": "ketamine"}, "amount": amount("0.725", "mg/mL")},
        {"id": "in-2", "drug": {"key": "sodium-chloride"}, "amount": amount(9, "mg/mL")},
    ]
    mixed = edited(a_visit(), (f"{GIVEN}/drug", drug), (f"{GIVEN}/ingredients", bag))

    assert found(edited(mixed, (f"{GIVEN}/dose", amount(50, "mL")))) == []
    assert ("warning", "R311", f"{GIVEN}/dose") in found(
        edited(mixed, (f"{GIVEN}/dose", amount(200, "mL")))
    )


def test_of_two_drugs_in_a_bag_no_dose_is_reckoned() -> None:
    bag = [
        {"id": f"in-{key}", "drug": {"key": key}, "amount": amount("0.725", "mg/mL")}
        for key in ("ketamine", "magnesium-sulfate")
    ]
    mixed = edited(a_visit(), (f"{GIVEN}/drug", {"text": "Mixture"}), (f"{GIVEN}/ingredients", bag))

    assert found(edited(mixed, (f"{GIVEN}/dose", amount(200, "mL")))) == []


def test_a_pause_within_a_segment_counts_as_nothing_given() -> None:
    pause = {"id": "p-1", "start": "2026-03-02T09:40:00-05:00", "end": "2026-03-02T09:50:00-05:00"}
    paused = edited(a_visit(), (f"{GIVEN}/pauses", [pause]))
    less = edited(paused, (f"{GIVEN}/dose/value", 27), (f"{GIVEN}/dose_per_weight", ABSENT))

    assert ("warning", "R306", f"{GIVEN}/dose") in found(paused)
    assert found(less) == []


def test_a_bolus_is_part_of_the_dose() -> None:
    bolus = {"id": "b-1", "time": "2026-03-02T09:35:00-05:00", "dose": amount(10, "mg")}
    record = edited(a_visit(), (f"{GIVEN}/boluses", [bolus]), (f"{GIVEN}/dose/value", "46.25"))
    record["administrations"][0]["dose"] = amount("46.25", "mg")

    codes = [code for _, code, _ in found(record)]

    assert "R306" not in codes


def test_an_open_infusion_of_an_open_visit_is_left_alone_for_some_hours() -> None:
    open_visit = [("/visit/status", "in-progress"), ("/visit/end", ABSENT)]
    running = [(f"{GIVEN}/status", "in-progress"), (f"{GIVEN}/end", ABSENT)]
    record = edited(a_visit(), *open_visit, *running)
    late = edited(record, ("/recorded_at", "2026-03-02T15:31:00-05:00"))

    assert found(record) == []
    assert found(late) == [("warning", "R308", f"{GIVEN}/end")]


def test_an_infusion_that_was_never_closed_is_never_closed_here() -> None:
    record = edited(a_visit(), (f"{GIVEN}/end", ABSENT), (f"{GIVEN}/status", "in-progress"))

    given = load(record).document["administrations"][0]

    assert given["status"] == "in-progress"
    assert "end" not in given


def test_a_stopped_dose_is_not_held_against_what_was_planned_by_weight() -> None:
    record = edited(a_visit(), (f"{GIVEN}/status", "stopped"), (f"{GIVEN}/dose/value", 20))

    assert "R311" not in [code for _, code, _ in found(record)]


def test_a_criterion_met_after_the_discharge_is_named() -> None:
    met = "2026-03-02T11:20:00-05:00"
    period = {
        "id": "op-1", "start": "2026-03-02T10:12:00-05:00",
        "discharged_at": "2026-03-02T11:10:00-05:00",
        "criteria": [
            {"id": "cr-1", "criterion": {"key": "walks-unaided"}, "met": True, "time": met}
        ],
    }  # fmt: skip

    place = "/observation_period/criteria/0/time"
    assert ("warning", "R318", place) in found(a_visit(observation_period=period))


def test_the_id_of_a_row_that_holds_the_patients_id_is_named_once() -> None:
    patient = a_visit()["patient"]["id"]
    record = edited(a_visit(), ("/vitals/0/id", f"{patient}-1"), ("/vitals/1/id", f"{patient}-2"))

    assert found(record) == [("warning", "R336", "/vitals/0/id")]
