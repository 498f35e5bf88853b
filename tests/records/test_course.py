from typing import Any

import pytest

from tests.records.visits import ABSENT, Record, a_visit, amount, edited, findings, found, load
from tests.records.whole import COURSE

LATE = "2026-03-02T12:30:00-05:00"


def test_a_record_of_the_whole_course_passes_without_any_finding() -> None:
    assert found(COURSE) == []
    assert load(COURSE).document == COURSE


HELD = [
    ("/waste/0/amount/unit", ABSENT, "R201", "/waste/0/amount"),
    ("/waste/0/amount", amount(-1, "mg"), "R206", "/waste/0/amount"),
    ("/labs/3/parts/0/value/unit", "mmHgg", "R202", "/labs/3/parts/0/value"),
    ("/labs/0/result", ABSENT, "R214", "/labs/0"),
    ("/labs/3/parts/1/value", ABSENT, "R214", "/labs/3/parts/1"),
    ("/sedation/0/value", 6, "R209", "/sedation/0/value"),
    ("/sedation/1/value", -6, "R209", "/sedation/1/value"),
    ("/dissociation/0/total", 93, "R209", "/dissociation/0/total"),
    ("/observation_period/score/total", 11, "R209", "/observation_period/score/total"),
    ("/assessments/2/total", 21, "R209", "/assessments/2/total"),
    ("/assessments/3/total", 101, "R209", "/assessments/3/total"),
    ("/adverse_events/0/resolved", "2026-03-02T09:49:00-05:00", "R210",
     "/adverse_events/0/resolved"),
    ("/sedation/0/resolved_at", "2026-03-02T09:49:00-05:00", "R210", "/sedation/0/resolved_at"),
    ("/observation_period/discharged_at", "2026-03-02T10:09:00-05:00", "R210",
     "/observation_period/discharged_at"),
    ("/procedures/0/end", "2026-03-02T09:14:00-05:00", "R210", "/procedures/0/end"),
    ("/plan/visits/1/end", "2026-03-05T08:00:00-05:00", "R210", "/plan/visits/1/end"),
    ("/consultation/prior_treatments/0/end", "2022", "R210",
     "/consultation/prior_treatments/0/end"),
    ("/plan/phases/3/as_needed_interval/unit", "mg", "R203",
     "/plan/phases/3/as_needed_interval"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "value", "code", "pointer"), HELD)
def test_an_element_of_the_course_that_cannot_be_true_is_held_once(
    edit: str, value: Any, code: str, pointer: str
) -> None:
    held = [one for one in found(edited(COURSE, (edit, value))) if one[0] == "held"]

    assert ("held", code, pointer) in held
    assert len({place for _, _, place in held}) == len(held)


WARNED = [
    ([("/vitals/0/blood_pressure/systolic/value", 151)], "R317", "/vitals/0/blood_pressure"),
    ([("/vitals/0/blood_pressure/diastolic/value", 96)], "R317", "/vitals/0/blood_pressure"),
    ([("/observation_period/criteria/1/met", False)], "R318", "/observation_period/criteria/1"),
    ([("/observation_period/criteria/1/met", ABSENT)], "R318", "/observation_period/criteria/1"),
    ([("/observation_period/minutes_required", 90)], "R319",
     "/observation_period/discharged_at"),
    ([("/waste/0/witness", ABSENT)], "R323", "/waste/0"),
    ([("/observation_period/safety_plan", ABSENT)], "R324", "/assessments/0"),
    ([("/observation_period/safety_plan/reviewed", False)], "R324", "/assessments/0"),
    ([("/consultation/screen/1/answer", ABSENT)], "R326", "/consultation/screen/1"),
    ([("/consultation/suitability/decision", "suitable")], "R327",
     "/consultation/suitability/decision"),
    ([("/labs/0/result/key", "positive")], "R328", "/consultation/screen/2"),
    ([("/consultation/prior_treatments/0/adequate", False),
      ("/consultation/prior_treatments/1/outcome", "response"),
      ("/consultation/prior_treatments/3/outcome", "remission")], "R329", "/conditions/0/code"),
    ([("/observation_period/escort/present", False)], "R330", "/observation_period/escort"),
    ([("/adverse_events/1/actions/0/administration", ABSENT)], "R331",
     "/adverse_events/1/actions/0"),
    ([("/visit/status", "no-show")], "R332", "/administrations/0"),
    ([("/dissociation/0/total", 30)], "R333", "/dissociation/0/subscales"),
    ([("/waste/0/amount", ABSENT)], "R334", "/waste/0"),
    ([("/consultation/suitability/decision", "unsuitable")], "R335", "/administrations/0"),
    ([("/labs/0/time", LATE)], "R316", "/labs/0/time"),
    ([("/waste/0/time", LATE)], "R316", "/waste/0/time"),
]  # fmt: skip


@pytest.mark.parametrize(("edits", "code", "pointer"), WARNED)
def test_what_is_unusual_in_the_course_is_sent_with_a_warning(
    edits: list[tuple[str, Any]], code: str, pointer: str
) -> None:
    record = edited(COURSE, *edits)

    checked = load(record)

    assert ("warning", code, pointer) in found(record)
    assert checked.document == record


UNWARNED = [
    # a clinic that sets no limit is told nothing
    [("/clinic/limits", ABSENT), ("/vitals/0/blood_pressure/systolic/value", 180)],
    [("/vitals/0/blood_pressure/systolic/value", 150)],
    # who leaves against advice has not met the criteria, and everybody knows
    [("/observation_period/criteria/1/met", False), ("/observation_period/against_advice", True)],
    [("/consultation/screen/2/answer", "not-applicable")],
    [("/consultation/screen/2/answer", "yes"), ("/labs/0/result/key", "positive")],
    # nothing is said of resistance where nobody wrote down what was tried
    [("/consultation/prior_treatments", ABSENT)],
    [("/adverse_events/0/suspected/1", "r-2")],
]


@pytest.mark.parametrize("edits", UNWARNED)
def test_what_is_usual_in_the_course_raises_no_warning(edits: list[tuple[str, Any]]) -> None:
    assert found(edited(COURSE, *edits)) == []


IDEATION = [
    ("/conditions/2/role", "history"),
    ("/conditions/2/clinical_status", "resolved"),
    ("/conditions/2/verification_status", "refuted"),
]


@pytest.mark.parametrize("edit", IDEATION)
def test_thoughts_of_suicide_of_the_past_ask_for_no_safety_plan(edit: tuple[str, str]) -> None:
    # Neither the PHQ-9 nor the screener says anything: only the condition is left.
    unplanned = [("/observation_period/safety_plan", ABSENT), ("/assessments", [])]
    now = edited(COURSE, *unplanned)

    assert found(now) == [("warning", "R324", "/conditions/2")]
    assert found(edited(now, edit)) == []


@pytest.mark.parametrize("answer", [0, 1])
def test_item_nine_asks_for_no_plan_where_nothing_tells_of_the_discharge(answer: int) -> None:
    assert found(item_nine(answer)) == []


@pytest.mark.parametrize("answer", [2, 3])
def test_a_high_item_nine_always_asks_for_a_plan(answer: int) -> None:
    assert found(item_nine(answer)) == [("warning", "R324", "/assessments/0")]


@pytest.mark.parametrize(
    ("key", "number", "words", "told"),
    [
        ("phq-9", 9, "Not at all", False),
        ("phq-9", 9, "0", False),
        ("phq-9", 9, "Several days", False),  # nothing tells of the discharge
        ("phq-9", 9, "More than half the days.", True),
        ("phq-9", 9, "3", True),
        ("phq-9", 9, "I would be better off dead", True),
        ("phq-9", 8, "Nearly every day", False),
        ("c-ssrs-screener", 1, "No", False),
        ("c-ssrs-screener", 1, "yes", True),
        ("c-ssrs", 4, "Sometimes", True),
    ],
)
def test_an_answer_in_words_raises_the_alarm_unless_it_says_no(
    key: str, number: int, words: str, *, told: bool
) -> None:
    answer = {"id": "i-1", "number": number, "text": words}
    row = {"id": "as-1", "instrument": {"key": key}, "time": "2026-03-02T09:00:00-05:00",
           "items": [answer]}  # fmt: skip

    codes = [code for _, code, _ in found(a_visit(assessments=[row]))]

    assert ("R324" in codes) is told


def test_several_days_in_words_ask_for_a_plan_at_discharge() -> None:
    answer = {"id": "i9", "number": 9, "text": "Several days"}
    row = {"id": "as-1", "instrument": {"key": "phq-9"}, "time": "2026-03-02T09:00:00-05:00",
           "items": [answer]}  # fmt: skip
    unplanned = [
        ("/observation_period/safety_plan", ABSENT), ("/assessments", [row]),
        ("/conditions/2/role", "history"),
    ]  # fmt: skip

    assert found(edited(COURSE, *unplanned)) == [("warning", "R324", "/assessments/0")]


def item_nine(answer: int) -> Record:
    total = ("/assessments/0/total", 18 + answer)
    return edited(a_visit(), ("/assessments/0/items/8/value", answer), total)


@pytest.mark.parametrize(
    ("pointer", "value", "code"),
    [
        ("/waste/0/giver", "nobody", "R115"),
        ("/waste/0/witness", "pt-iv-001", "R115"),
        ("/adverse_events/0/suspected/0", "p-1", "R115"),
        ("/plan/visits/0/phase", "g-1", "R115"),
        ("/consultation/screen/0/answer", "maybe", "R106"),
        ("/adverse_events/0/event/key", "nausia", "R107"),
        ("/medications_current/0/classes/0", "benzo", "R106"),
        ("/contacts/0/way", ABSENT, "R101"),
        ("/observation_period/start", ABSENT, "R101"),
    ],
)
def test_what_the_form_does_not_take_refuses_the_record(
    pointer: str, value: Any, code: str
) -> None:
    assert ("error", code, pointer) in found(edited(COURSE, (pointer, value)))


@pytest.mark.parametrize(
    "part", ["waste", "labs", "procedures", "sedation", "dissociation", "contacts"]
)
def test_a_row_entered_in_error_leaves_the_document(part: str) -> None:
    gone = {"id": COURSE[part][0]["id"], "status": "entered-in-error"}
    references = [("/adverse_events/0/actions/1/procedure", ABSENT)]
    record = edited(COURSE, (f"/{part}/0", gone), *references)

    document = load(record).document
    assert gone["id"] not in [row["id"] for row in document[part]]


def test_an_esketamine_visit_is_watched_until_the_discharge() -> None:
    period = {"id": "op-1", "start": "2026-03-10T14:10:00-04:00"}
    early = {**period, "discharged_at": "2026-03-10T15:30:00-04:00"}
    record = edited(a_visit("08-"), ("/observation_period", early))

    assert ("warning", "R310", "/observation_period/discharged_at") in found(record)


@pytest.mark.parametrize(("unit", "total"), [("mm", 101), ("cm", 11), ("points", 11)])
def test_a_pain_line_is_held_to_the_range_of_its_unit(unit: str, total: int) -> None:
    instrument = {"key": "pain-vas", "unit": unit}
    record = edited(COURSE, ("/assessments/3/instrument", instrument))

    assert found(edited(record, ("/assessments/3/total", total - 1))) == []
    assert found(edited(record, ("/assessments/3/total", total)))[0][:2] == ("held", "R209")


def test_an_unknown_subscale_is_not_held_to_the_range_of_the_whole() -> None:
    record = edited(
        COURSE, ("/assessments/2/instrument/subscale", "own"), ("/assessments/2/total", 90)
    )

    assert found(record) == []


def test_no_message_about_the_course_repeats_a_text_of_the_record() -> None:
    record = edited(COURSE, ("/waste/0/why", "Kanarie"), ("/waste/0/witness", "st-nurse"))

    assert "Kanarie" not in " ".join(one.message for one in findings(record))
