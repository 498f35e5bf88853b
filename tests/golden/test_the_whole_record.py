"""What the whole record becomes: nothing of it is lost or overstated."""

import html
from typing import Any

import pytest

from fhirbridge.fhir.validate import problems
from fhirbridge.translate.values import Translation
from tests.golden import translating
from tests.golden.translating import Json

SECRET = "Themes of the integration session."


@pytest.fixture(scope="module")
def whole() -> Translation:
    return translating.translate(translating.sample(translating.WHOLE))


def changed(row: Json, part: str, number: int = 0) -> Translation:
    """Translate the whole record with one row of a part changed."""

    def change(sent: Json) -> None:
        sent[part][number].update(row)

    return translating.changed(change, translating.WHOLE)


def reference(found: Translation, mapping: str, number: int = 0) -> str:
    body = translating.bodies(found, mapping)[number]
    return f"{body['resourceType']}/{body['id']}"


def test_an_adverse_event_is_part_of_the_dose_that_is_suspected(whole: Translation) -> None:
    event = translating.bodies(whole, "adverse-event")[0]

    assert event["partOf"] == [{"reference": reference(whole, "medication-administration")}]
    assert event["effectivePeriod"] == {
        "start": "2026-03-02T09:50:00-05:00",
        "end": "2026-03-02T09:55:00-05:00",
    }
    assert event["valueCodeableConcept"]["text"] == "Hypoxaemia"


def test_a_suspected_rate_leads_to_its_administration() -> None:
    found = changed({"suspected": ["r-1"]}, "adverse_events")

    event = translating.bodies(found, "adverse-event")[0]
    assert event["partOf"] == [{"reference": reference(found, "medication-administration")}]


def test_where_nobody_suspects_a_dose_none_is_named(whole: Translation) -> None:
    event = translating.bodies(whole, "adverse-event")[1]

    assert "partOf" not in event


def test_an_adverse_event_is_no_problem_and_no_allergy(whole: Translation) -> None:
    types = {made.type for made in whole.resources}
    conditions = [body["code"]["text"] for body in translating.bodies(whole, "condition")]

    assert "AllergyIntolerance" not in types
    assert "Hypoxaemia" not in conditions
    assert len(conditions) == 3


@pytest.mark.parametrize("answer", ["not-checked", None])
def test_what_was_not_checked_is_never_a_no(answer: str | None) -> None:
    def change(sent: Json) -> None:
        row = sent["consultation"]["screen"][0]
        row.pop("answer")
        if answer is not None:
            row["answer"] = answer

    found = translating.changed(change, translating.WHOLE)
    body = translating.bodies(found, "contraindication-screen")[0]

    assert "valueCodeableConcept" not in body
    assert body["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert body["dataAbsentReason"]["text"] == "Not checked"


@pytest.mark.parametrize(
    ("number", "value", "reason"),
    [
        (0, "No", None),
        (3, None, "not-performed"),
        (4, "Yes", None),
        (7, None, "unknown"),
    ],
)
def test_an_answer_of_the_screen_stays_what_it_was(
    whole: Translation, number: int, value: str | None, reason: str | None
) -> None:
    body = translating.bodies(whole, "contraindication-screen")[number]

    assert body.get("valueCodeableConcept", {}).get("text") == value
    absent = body.get("dataAbsentReason", {}).get("coding", [{}])[0].get("code")
    assert absent == reason


def test_the_witness_of_waste_is_in_words_and_performs_nothing(whole: Translation) -> None:
    given = translating.bodies(whole, "medication-administration")[0]
    witness = next(
        f"Practitioner/{body['id']}"
        for body in translating.bodies(whole, "practitioner")
        if body["name"][0]["family"] == "Synthetic-Cole"
    )

    assert "65.25 mg" in given["note"][0]["text"]
    assert "witnessed by Synthetic-Cole" in given["note"][0]["text"]
    assert given["dosage"]["dose"]["value"] == pytest.approx(34.75)
    for made in whole.resources:
        if made.type != "Encounter":
            assert witness not in _performers(made.body)


def test_waste_is_told_apart_from_the_dose(whole: Translation) -> None:
    given = translating.bodies(whole, "medication-administration")[0]

    (waste,) = [one for one in given["extension"] if one["url"].endswith("/waste")]
    told = {part["url"]: part for part in waste["extension"]}
    assert str(told["amount"]["valueQuantity"]["value"]) == "65.25"
    assert told["witness"]["valueReference"] != told["giver"]["valueReference"]
    assert str(given["dosage"]["dose"]["value"]) == "34.75"


def test_a_yes_of_the_suicide_screener_is_found_by_its_code(whole: Translation) -> None:
    answers = translating.bodies(whole, "scale-cssrs-item")

    yes = [
        body["code"]["coding"][0]["code"]
        for body in answers
        if body["valueCodeableConcept"]["coding"][0]["display"] == "Yes"
    ]

    assert yes == ["93246-7", "93247-5", "93267-3"]
    assert all("display" not in body["code"]["coding"][0] for body in answers)
    panel = translating.only(whole, "scale-cssrs")
    assert panel["hasMember"] == [{"reference": f"Observation/{row['id']}"} for row in answers]


def test_the_answers_of_the_gad7_stand_under_their_own_codes(whole: Translation) -> None:
    answers = translating.bodies(whole, "scale-gad7-item")

    codes = [body["code"]["coding"][0]["code"] for body in answers]

    assert codes[5:] == ["69689-8", "69736-7"]  # annoyed, afraid
    assert translating.code_of(translating.bodies(whole, "scale-gad7")[0]) == "70274-6"


def test_a_line_of_a_hundred_millimetres_is_no_score(whole: Translation) -> None:
    (line,) = [
        body
        for body in translating.bodies(whole, "scale")
        if body["code"]["text"].startswith("Pain severity, visual")
    ]

    assert (line["valueQuantity"]["value"], line["valueQuantity"]["code"]) == (54, "mm")


@pytest.mark.parametrize(
    ("status", "in_fhir"),
    [
        ("proposed", "proposed"),
        ("active", "active"),
        ("rejected", "rejected"),
        ("withdrawn", "inactive"),
        ("expired", "inactive"),
    ],
)
def test_a_consent_has_the_state_that_it_has(status: str, in_fhir: str) -> None:
    found = changed({"status": status}, "consents")

    assert translating.bodies(found, "consent")[0]["status"] == in_fhir


def test_a_consent_for_one_recipient_is_sent_to_nobody(whole: Translation) -> None:
    made = translating.bodies(whole, "consent")

    assert len(made) == len(translating.sample(translating.WHOLE)["consents"]) - 1
    assert b"other-ehr" not in translating.sent_bytes(whole)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ({"status": "proposed", "start": None, "end": None}, "proposed"),
        ({"status": "booked"}, "booked"),
        ({"status": "booked", "end": None}, None),
        ({"status": "arrived"}, "arrived"),
        ({"status": "done"}, "fulfilled"),
        ({"status": "no-show"}, "noshow"),
        ({"status": "cancelled", "end": None}, "cancelled"),
        ({"status": "booked", "ehr_appointment": "EHR-1"}, None),
    ],
)
def test_a_planned_visit_is_an_appointment_where_r4_has_one(row: Json, status: str | None) -> None:
    def change(record: Json) -> None:
        changed_row = record["plan"]["visits"][0] | row
        record["plan"]["visits"] = [
            {name: value for name, value in changed_row.items() if value is not None}
        ]

    found = translating.changed(change, translating.WHOLE)

    made = translating.bodies(found, "appointment")
    activity = translating.only(found, "care-plan")["activity"][-1]
    assert [body["status"] for body in made] == ([status] if status else [])
    assert ("reference" in activity) == bool(status)
    assert ("detail" in activity) == (not status)  # R4 cpl-3
    assert [problem for body in made for problem in problems(body)] == []


def test_the_plan_names_an_appointment_and_what_came_of_it(whole: Translation) -> None:
    """The visit itself names no Appointment: a newer plan may take it away."""
    done = translating.only(whole, "care-plan")["activity"][5]

    visit = translating.only(whole, "encounter")

    assert done["outcomeReference"] == [{"reference": f"Encounter/{visit['id']}"}]
    assert done["reference"]["reference"].startswith("Appointment/")
    assert "appointment" not in visit


def test_the_room_lies_within_the_registered_place_of_the_clinic(whole: Translation) -> None:
    place, room = translating.only(whole, "location"), translating.only(whole, "room")

    assert room["partOf"] == {"reference": f"Location/{place['id']}"}
    visit = translating.only(whole, "encounter")
    assert visit["location"][0]["location"] == {"reference": f"Location/{room['id']}"}


def test_home_and_past_drugs_are_statements_with_their_own_status(whole: Translation) -> None:
    now = [body["status"] for body in translating.bodies(whole, "current-medication")]
    past = [body["status"] for body in translating.bodies(whole, "prior-medication")]

    assert now == ["active", "stopped"]
    assert past == ["completed", "unknown"]


@pytest.mark.parametrize(
    ("order", "dose", "sent"),
    [
        ({"status": "active"}, "completed", []),
        ({"status": "active", "ehr_order": "EHR-1"}, "completed", []),
        ({}, "in-progress", []),
        ({}, "completed", ["completed"]),
        ({}, "stopped", ["stopped"]),
        ({"status": "completed"}, "completed", ["completed"]),
        ({"status": "stopped"}, "stopped", ["stopped"]),
        ({"status": "cancelled"}, "not-done", ["cancelled"]),
    ],
)
def test_no_order_is_ever_an_active_prescription(order: Json, dose: str, sent: list[str]) -> None:
    def change(record: Json) -> None:
        record["orders"] = [record["orders"][0] | order]
        record["administrations"] = [record["administrations"][0] | {"status": dose}]
        record["adverse_events"] = []

    found = translating.changed(change, translating.WHOLE)

    made = translating.bodies(found, "medication-request")
    assert [body["status"] for body in made] == sent


def test_an_order_of_the_ehr_is_named_by_its_number_and_not_made_again(whole: Translation) -> None:
    given = translating.bodies(whole, "medication-administration")[1]

    assert given["request"]["identifier"] == {"value": "EHR-ORD-7"}
    assert "reference" not in given["request"]
    ordered = [
        body["medicationCodeableConcept"]["text"]
        for body in translating.bodies(whole, "medication-request")
    ]
    assert ordered == ["Ketamine", "Esketamine"]


def test_a_planned_dose_is_no_administration(whole: Translation) -> None:
    assert len(translating.bodies(whole, "medication-administration")) == 4


def test_an_observation_period_that_nobody_closed_stays_open() -> None:
    def change(sent: Json) -> None:
        period = sent["observation_period"]
        for name in ("end", "discharged_at", "discharged_by", "criteria", "score"):
            period.pop(name)

    found = translating.changed(change, translating.WHOLE)
    body = translating.only(found, "observation-period")

    assert body["status"] == "in-progress"
    assert "end" not in body["performedPeriod"]


def test_a_criterion_that_was_not_met_says_so() -> None:
    def change(sent: Json) -> None:
        criteria = sent["observation_period"]["criteria"]
        criteria[0]["met"] = False
        criteria[1].pop("met")

    found = translating.changed(change, translating.WHOLE)
    first, second = translating.bodies(found, "discharge-criterion")[:2]

    assert first["valueBoolean"] is False
    assert "valueBoolean" not in second
    assert second["dataAbsentReason"]["coding"][0]["code"] == "unknown"


def test_a_test_that_was_not_done_has_no_result(whole: Translation) -> None:
    body = translating.bodies(whole, "laboratory")[4]

    assert body["status"] == "cancelled"
    assert not [name for name in body if name.startswith("value")]


def test_a_psychotherapy_note_is_in_nothing_that_is_made(whole: Translation) -> None:
    note = translating.note_of(translating.only(whole, "session-note"))

    assert SECRET not in note
    for made in whole.resources:
        assert SECRET not in translating.pretty(made.body)


def test_a_procedure_labelled_as_a_psychotherapy_note_is_not_sent() -> None:
    found = changed({"labels": ["psychotherapy-note"], "note": SECRET}, "procedures", 1)
    note = translating.note_of(translating.only(found, "session-note"))

    assert len(translating.bodies(found, "procedure")) == 3
    assert SECRET not in note


def test_a_contact_between_visits_makes_no_encounter_and_names_none() -> None:
    def between(sent: Json) -> None:
        sent["visit"]["kind"] = "between-visit"

    found = translating.changed(between, translating.WHOLE)

    assert "Encounter" not in {made.type for made in found.resources}
    for made in found.resources:
        assert "Encounter/" not in translating.pretty(made.body)


def test_every_free_text_of_the_record_stands_in_the_note(whole: Translation) -> None:
    sent = translating.sample(translating.WHOLE)
    page = html.unescape(translating.note_of(translating.only(whole, "session-note")))
    free = {"note", "text", "why", "reason", "summary", "what", "why_stopped", "precautions"}

    lost = [text for name, text in _leaves(sent) if name in free and text not in page]

    assert lost == [SECRET]


def _performers(body: Json) -> str:
    return translating.pretty([body.get("performer", []), body.get("participant", [])])


def _leaves(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in _leaves(item, key)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item, name)]
    return [(name, value)] if isinstance(value, str) else []
