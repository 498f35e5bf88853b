"""What the course says beside the visit: allergies, consents, the plan, its goals, scales."""

from typing import Any

import pytest

from fhirbridge.fhir.validate import problems
from fhirbridge.translate.values import Translation
from tests.golden import translating
from tests.golden.translating import Json, bodies, changed, note_of, only

IN_ERROR = "entered-in-error"
ELSEWHERE = "other-hospital"


def with_rows(part: str, *rows: Json) -> Translation:
    def put(sent: Json) -> None:
        sent[part] = list(rows)

    found = changed(put)
    assert [said for made in found.resources for said in problems(made.body)] == []
    return found


def with_plan(change: Json, **parts: Any) -> Translation:
    def put(sent: Json) -> None:
        sent["plan"] |= change | parts

    found = changed(put)
    assert [said for made in found.resources for said in problems(made.body)] == []
    return found


def page(found: Translation) -> str:
    return note_of(only(found, "session-note"))


# Allergies


def an_allergy(**more: Any) -> Json:
    return {
        "id": "al-1",
        "kind": "allergy",
        "substance": {"key": "ketamine"},
        "note": "Hives",
    } | more


def test_an_allergy_entered_in_error_is_charted_nowhere() -> None:
    found = with_rows("allergies", an_allergy(verification_status=IN_ERROR))

    assert bodies(found, "allergy-history") == []
    assert "Hives" not in page(found)
    assert "Allergies" not in page(found)


def test_no_known_allergy_is_a_finding_and_not_unknown() -> None:
    found = with_rows("allergies", {"id": "al-1", "kind": "none-known"})

    body = only(found, "allergy-history")
    assert body["valueCodeableConcept"] == {"text": "No known allergy"}
    assert "dataAbsentReason" not in body
    assert "No known allergy" in page(found)


@pytest.mark.parametrize(
    "denied", [{"kind": "none-known"}, {"verification_status": "refuted"}], ids=["none", "refuted"]
)
def test_a_drug_that_is_denied_as_an_allergen_has_no_code(denied: Json) -> None:
    body = only(with_rows("allergies", an_allergy(**denied)), "allergy-history")

    assert body["valueCodeableConcept"] == {"text": "ketamine"}


# Consents


def a_consent(**more: Any) -> Json:
    return {"id": "cs-1", "kind": "sharing", "status": "active",
            "signed_at": "2026-02-20T10:30:00-05:00"} | more  # fmt: skip


@pytest.mark.parametrize("status", ["active", "rejected", "withdrawn"])
@pytest.mark.parametrize("kind", ["sharing", "part-2", "treatment"])
def test_a_consent_for_one_recipient_is_nobody_elses_business(kind: str, status: str) -> None:
    found = with_rows("consents", a_consent(kind=kind, status=status, recipient=ELSEWHERE))

    assert bodies(found, "consent") == []
    assert ELSEWHERE not in page(found)
    assert "Consents" not in page(found)


@pytest.mark.parametrize("status", ["proposed", "rejected"])
def test_a_part_2_consent_that_was_not_given_is_not_sent(status: str) -> None:
    found = with_rows("consents", a_consent(kind="part-2", status=status))

    assert bodies(found, "consent") == []
    assert "part 2" not in page(found)


@pytest.mark.parametrize("status", ["withdrawn", "expired", IN_ERROR])
def test_a_part_2_consent_that_is_over_ends_without_saying_what_it_was(status: str) -> None:
    found = with_rows("consents", a_consent(kind="part-2", status=status))

    body = only(found, "consent")
    assert body["status"] == (IN_ERROR if status == IN_ERROR else "inactive")
    assert body["policyRule"] == {"text": "Consent that is no longer in force"}
    assert b"Part 2" not in translating.sent_bytes(found)
    assert "part 2" not in page(found)


def test_a_consent_entered_in_error_says_so_and_is_not_in_the_note() -> None:
    found = with_rows("consents", a_consent(kind="treatment", status=IN_ERROR))

    assert only(found, "consent")["status"] == IN_ERROR
    assert "Consents" not in page(found)


# The plan


def a_phase(**more: Any) -> Json:
    return {"id": "ph-1", "kind": "induction", "status": "in-progress"} | more


@pytest.mark.parametrize("name", ["dose", "dose_per_weight"])
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"high": 2}, "at most 2"),
        ({"low": 1}, "from 1"),
        ({"low": 1, "high": 2}, "1 to 2"),
        ({"low": 2, "high": 2}, "2"),
    ],
    ids=["at most", "from", "between", "one"],
)
def test_a_limit_of_the_dose_never_reads_as_the_dose(name: str, limits: Json, words: str) -> None:
    unit = "mg" if name == "dose" else "mg/kg"
    found = with_plan({"phases": [a_phase(**{name: limits | {"unit": unit}})]})

    plan = only(found, "care-plan")
    assert plan["activity"][0]["detail"]["description"] == f"induction; dose {words} {unit}"
    for text in (plan["text"]["div"], page(found)):
        assert f"Induction (in progress), {words} {unit}</li>" in text


def test_the_plan_tells_the_route_and_all_else_of_a_phase_in_its_text_and_its_narrative() -> None:
    phase = a_phase(
        route={"key": "intravenous-infusion"},
        dose={"options": [20, 40], "step": 10, "unit": "mg"},
        dates=["2026-03-02", "2026-03-04"],
        consecutive_days=3,
        duration={"value": 40, "unit": "min"},
        status_reason="Response",
        note="Slowly",
    )
    plan = only(with_plan({"phases": [phase]}), "care-plan")

    said = (
        "one of 20, 40 mg", "in steps of 10 mg", "intravenous infusion", "over 40 min",
        "on 3 days in a row", "Slowly",
    )  # fmt: skip
    description, narrative = plan["activity"][0]["detail"]["description"], plan["text"]["div"]
    assert [words for words in said if words not in description] == []
    assert [words for words in said if words not in narrative] == []
    assert [one for one in ("2026-03-02, 2026-03-04", "Response") if one not in narrative] == []


def test_a_plan_entered_in_error_says_so_and_nothing_else() -> None:
    booked = {"id": "pv-1", "status": "booked", "start": "2026-03-06T09:00:00-05:00",
              "end": "2026-03-06T11:00:00-05:00"}  # fmt: skip
    found = with_plan({"status": IN_ERROR, "title": "Wrong plan", "visits": [booked]})

    plan = only(found, "care-plan")
    assert plan["status"] == IN_ERROR
    assert "activity" not in plan
    assert "goal" not in plan
    assert only(found, "goal")["lifecycleStatus"] == IN_ERROR
    assert only(found, "appointment")["status"] == IN_ERROR
    assert "Wrong plan" not in page(found)
    assert b"Wrong plan" not in translating.sent_bytes(found)
    assert "entered in error" in plan["text"]["div"]


@pytest.mark.parametrize("timed", [True, False])
def test_a_visit_entered_in_error_is_in_no_plan_and_stays_booked_nowhere(*, timed: bool) -> None:
    times = {"start": "2026-03-06T09:00:00-05:00", "end": "2026-03-06T11:00:00-05:00"}
    visit = {"id": "pv-1", "status": IN_ERROR, "why": "Other patient"} | (times if timed else {})
    found = with_plan({"phases": [], "visits": [visit]})

    plan = only(found, "care-plan")
    assert "activity" not in plan
    assert only(found, "appointment")["status"] == (IN_ERROR if timed else "cancelled")
    assert b"Other patient" not in translating.sent_bytes(found)
    assert "Other patient" not in page(found)


# Goals


@pytest.mark.parametrize(
    ("comparator", "words"),
    [("<", "below "), ("<=", "at most "), ("=", ""), (">=", "at least "), (">", "above ")],
)
def test_a_target_without_a_measure_is_kept_in_words(comparator: str, words: str) -> None:
    goal = {"id": "g-1", "status": "active", "description": "Walk again",
            "target": {"comparator": comparator, "value": 2, "unit": "km"}}  # fmt: skip
    found = with_plan({"goals": [goal]})

    body = only(found, "goal")
    assert body["note"] == [{"text": f"Target: {words}2 km"}]
    assert "target" not in body
    assert f"target {comparator.replace('<', '&lt;').replace('>', '&gt;')} 2 km" in page(found)


def test_a_goal_entered_in_error_says_so_and_is_in_no_plan() -> None:
    goal = {"id": "g-1", "status": IN_ERROR, "description": "Of another patient"}
    found = with_plan({"goals": [goal]})

    assert only(found, "goal")["lifecycleStatus"] == IN_ERROR
    assert "goal" not in only(found, "care-plan")
    assert "Of another patient" not in page(found)
    assert b"Of another patient" not in translating.sent_bytes(found)


# Conditions


def test_a_condition_entered_in_error_is_not_in_the_note() -> None:
    def take_back(sent: Json) -> None:
        sent["conditions"][0] |= {"verification_status": IN_ERROR, "code": {"text": "Wrong chart"}}

    assert "Wrong chart" not in page(changed(take_back))


# Scales


def answered(instrument: Json, *items: Json) -> Translation:
    row = {"id": "as-9", "instrument": instrument, "time": "2026-03-02T09:05:00-05:00",
           "items": list(items)}  # fmt: skip
    return with_rows("assessments", row)


@pytest.mark.parametrize(
    ("key", "mapping"), [("phq-9", "scale-phq9-item"), ("gad-7", "scale-gad7-item")]
)
def test_an_answer_in_words_is_an_answer(key: str, mapping: str) -> None:
    words = "More than half the days"
    body = only(answered({"key": key}, {"id": "i-1", "number": 1, "text": words}), mapping)

    assert body["valueCodeableConcept"] == {"text": words}
    assert "dataAbsentReason" not in body


@pytest.mark.parametrize(
    ("key", "mapping"),
    [
        ("phq-9", "scale-phq9-item"),
        ("gad-7", "scale-gad7-item"),
        ("c-ssrs-screener", "scale-cssrs-item"),
    ],
)
def test_words_beside_an_answer_are_kept(key: str, mapping: str) -> None:
    item = {"id": "i-1", "number": 1, "value": 1, "text": "Only at night"}
    found = answered({"key": key}, item)

    body = only(found, mapping)
    assert body["valueCodeableConcept"]["coding"]
    assert body["note"] == [{"text": "Only at night"}]
    assert "1 (Only at night)" in page(found)


@pytest.mark.parametrize("version", ["Since last contact", "since last visit", "Last Contact"])
def test_the_screener_since_last_contact_has_no_code_of_the_recent_one(version: str) -> None:
    item = {"id": "i-1", "number": 6, "value": 1}
    found = answered({"key": "c-ssrs-screener", "version": version}, item)

    panel, answer = only(found, "scale-cssrs"), only(found, "scale-cssrs-item")
    assert panel["code"] == {"text": "C-SSRS screener since last contact"}
    assert answer["code"] == {"text": "C-SSRS screener since last contact, question 6"}
    assert answer["valueCodeableConcept"]["coding"][0]["code"] == "LA33-6"


@pytest.mark.parametrize("version", [None, "Lifetime/Recent", "2008"])
def test_any_other_screener_is_that_of_lifetime_and_recent(version: str | None) -> None:
    instrument = {"key": "c-ssrs-screener"} | ({"version": version} if version else {})

    found = answered(instrument, {"id": "i-1", "number": 1, "value": 0})

    assert translating.code_of(only(found, "scale-cssrs")) == "93373-9"
