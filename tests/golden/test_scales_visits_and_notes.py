"""What scales, visits, conditions, plans and notes become."""

import pytest

from fhirbridge.fhir import codec
from fhirbridge.fhir.validate import problems
from tests.golden import translating
from tests.golden.translating import Json, bodies, changed, code_of, only, sent_bytes

# Scales


def test_each_phq9_answer_stands_under_its_own_loinc_code() -> None:
    found = translating.translate(translating.sample(translating.FIRST_VISIT))

    answers = bodies(found, "scale-phq9-item")

    assert [code_of(answer) for answer in answers] == [
        "44250-9", "44255-8", "44259-0", "44254-1", "44251-7", "44258-2", "44252-5", "44253-3",
        "44260-8",
    ]  # fmt: skip
    assert answers[8]["valueCodeableConcept"]["coding"][0]["code"] == "LA6569-3"
    total = only(found, "scale-phq9")
    assert total["hasMember"] == [{"reference": f"Observation/{row['id']}"} for row in answers]


def test_an_impossible_answer_holds_that_answer_only() -> None:
    def mistype(record: Json) -> None:
        record["assessments"][0]["items"][2]["value"] = 4

    found = changed(mistype)

    assert len(bodies(found, "scale-phq9-item")) == 8
    assert len(only(found, "scale-phq9")["hasMember"]) == 8


def test_a_scale_without_a_verified_code_is_sent_by_its_name() -> None:
    def ask_more(record: Json) -> None:
        record["assessments"] += [
            {
                "id": "as-9",
                "instrument": {"key": "cadss", "subscale": "depersonalization"},
                "time": "2026-03-02T10:10:00-05:00",
                "total": 12,
                "items": [
                    {"id": "i1", "number": 1, "value": 2},
                    {"id": "i2", "number": 2, "text": "a"},
                ],
            },
            {
                "id": "as-10",
                "instrument": {"text": "Clinic's own mood line", "min": 0, "max": 100},
                "time": "2026-03-02T10:20:00-05:00",
                "status": "not-done",
                "status_reason": {"text": "asleep"},
            },
        ]

    cadss, mood = bodies(changed(ask_more), "scale")

    assert cadss["code"] == {"text": "CADSS total score"}
    assert [part["code"]["text"] for part in cadss["component"]] == ["Item 1", "Item 2"]
    assert mood["code"] == {"text": "Clinic's own mood line"}
    assert mood["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert problems(cadss) == problems(mood) == []


# The visit, the conditions, the plan


@pytest.mark.parametrize(
    ("status", "in_fhir"),
    [
        ("planned", "planned"),
        ("in-progress", "in-progress"),
        ("completed", "finished"),
        ("stopped-early", "finished"),
        ("cancelled", "cancelled"),
        ("no-show", "cancelled"),
    ],
)
def test_a_visit_has_the_nearest_status_of_r4(status: str, in_fhir: str) -> None:
    def set_status(record: Json) -> None:
        record["visit"]["status"] = status

    assert only(changed(set_status), "encounter")["status"] == in_fhir


def test_a_contact_between_visits_makes_no_encounter_and_nothing_points_to_one() -> None:
    def call(record: Json) -> None:
        record["visit"]["kind"] = "between-visit"

    found = changed(call)

    assert bodies(found, "encounter") == []
    assert b"Encounter/" not in sent_bytes(found)


def test_a_record_that_was_entered_in_error_makes_nothing() -> None:
    def take_back(record: Json) -> None:
        record["status"] = "entered-in-error"

    assert changed(take_back).resources == ()


def test_what_nobody_signed_is_preliminary() -> None:
    def unsign(record: Json) -> None:
        del record["signed"]

    found = changed(unsign)

    assert only(found, "session-note")["docStatus"] == "preliminary"
    assert {row["status"] for row in bodies(found, "vital-heart-rate")} == {"preliminary"}


def test_an_amended_record_changes_no_reading_that_was_not_amended() -> None:
    def amend(record: Json) -> None:
        record |= {"version": 2, "recorded_at": "2026-03-04T09:00:00-05:00"}
        record["signed"] |= {"state": "amended", "at": "2026-03-04T09:00:00-05:00"}

    before = translating.translate(translating.sample(translating.FIRST_VISIT))
    after = changed(amend)

    old = {made.content_hash for made in before.resources}
    assert [made.mapping for made in after.resources if made.content_hash not in old] == [
        "session-note"
    ]


def test_the_plan_and_the_condition_of_a_series_are_one_over_all_its_visits() -> None:
    visits = [name for name in translating.SAMPLES if "iv-series" in name]

    found = [translating.translate(translating.sample(name)) for name in visits]

    for mapping in ("patient", "condition", "care-plan", "goal", "organization"):
        assert len({only(one, mapping)["id"] for one in found}) == 1
    assert len({only(one, "encounter")["id"] for one in found}) == 6


def test_no_id_and_no_identifier_of_ours_holds_the_patients_number() -> None:
    sent = translating.sample(translating.FIRST_VISIT)

    found = translating.translate(sent)

    assert sent["patient"]["id"].encode() not in sent_bytes(found)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"clinical_status": "resolved", "abatement": "2025-11"}, True),
        ({"clinical_status": "active", "abatement": "2025-11"}, False),
    ],
)
def test_the_end_of_a_condition_never_contradicts_its_status(change: Json, kept: bool) -> None:  # noqa: FBT001
    def end(record: Json) -> None:
        record["conditions"][0] |= change

    condition = only(changed(end), "condition")

    assert ("abatementDateTime" in condition) is kept
    assert ("note" in condition) is not kept
    assert problems(condition) == []


def test_a_condition_entered_in_error_has_no_clinical_status() -> None:
    def take_back(record: Json) -> None:
        record["conditions"][0]["verification_status"] = "entered-in-error"

    condition = only(changed(take_back), "condition")

    assert "clinicalStatus" not in condition
    assert condition["verificationStatus"]["coding"][0]["code"] == "entered-in-error"


def test_treatment_resistant_depression_is_sent_without_an_invented_code() -> None:
    found = translating.translate(translating.sample(translating.FIRST_VISIT))

    assert only(found, "condition")["code"] == {"text": "Treatment-resistant depression"}


def test_a_phase_keeps_its_highest_frequency() -> None:
    found = translating.translate(translating.sample(translating.FIRST_VISIT))

    repeat = only(found, "care-plan")["activity"][0]["detail"]["scheduledTiming"]["repeat"]

    assert (repeat["frequency"], repeat["frequencyMax"], repeat["periodUnit"]) == (2, 3, "wk")


def test_the_provenance_names_what_was_written_and_no_patient() -> None:
    sent = translating.sample(translating.FIRST_VISIT)
    found = translating.translate(sent)

    body = translating.provenance(sent, found).body

    targets = [target["reference"] for target in body["target"]]
    assert targets == [f"{made.type}/{made.id}" for made in found.resources]
    assert body["recorded"] == translating.RECORDED
    assert sent["session_id"].encode() not in codec.encode(body)


# The readable note


def test_the_note_shows_the_dose_as_it_was_written_and_who_signed() -> None:
    found = translating.translate(translating.sample(translating.FIRST_VISIT))

    note = translating.note_of(only(found, "session-note"))

    assert "36.25 mg (measured), 0.50 mg/kg, weight 72.50 kg" in note
    assert "Signed by Ada Synthetic-Okafor, MD on 2026-03-02" in note
    assert "Synthetic record. It describes no real person." in note


def test_the_note_runs_nothing_and_loads_nothing() -> None:
    attack = "<script src='https://evil.example/x.js'></script><img src=x onerror=alert(1)>"

    def inject(record: Json) -> None:
        record["patient"]["name"]["family"] = "O'Hara <b>"
        record["administrations"][0]["note"] = attack
        record["plan"]["title"] = attack
        record["notes"] = [{"id": "n-1", "time": "2026-03-02T11:00:00-05:00", "text": attack}]

    found = changed(inject)

    for text in (
        translating.note_of(only(found, "session-note")),
        only(found, "care-plan")["text"]["div"],
    ):
        assert "<script" not in text
        assert "<img" not in text
        assert "<b>IV" not in text
        assert "&lt;script" in text
    assert problems(only(found, "care-plan")) == []


@pytest.mark.parametrize("mark", [{"psychotherapy": True}, {"labels": ["psychotherapy-note"]}])
def test_a_psychotherapy_note_never_leaves_the_clinic(mark: Json) -> None:
    secret = "what was said in therapy"

    def write(record: Json) -> None:
        row = {"id": "n-1", "time": "2026-03-02T11:00:00-05:00", "text": secret}
        open_row = row | {"id": "n-2", "text": "felt well"}
        record["notes"] = [row | mark, open_row]

    found = changed(write)

    note = translating.note_of(only(found, "session-note"))
    assert "felt well" in note
    assert secret not in note
    assert secret.encode() not in sent_bytes(found)
