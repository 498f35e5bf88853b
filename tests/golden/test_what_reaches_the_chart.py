"""What a clinician may rely on to find in the chart, whatever happened in the clinic."""

from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.fhir.validate import problems
from fhirbridge.translate.values import Translation
from tests.golden import translating
from tests.golden.translating import Json, bodies, changed, only

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def sent_bytes(found: Translation) -> bytes:
    return b"\n".join(codec.encode(made.body) for made in found.resources)


def the_dose(found: Translation) -> Json:
    dosage: Json = only(found, "medication-administration")["dosage"]
    return dosage


def code_of(observation: Json) -> str:
    code: str = observation["code"]["coding"][0]["code"]
    return code


def value_at(found: Translation, mapping: str, time: str) -> Any:
    (reading,) = [row for row in bodies(found, mapping) if row["effectiveDateTime"] == time]
    return reading["valueQuantity"]["value"]


# Numbers


def test_a_weight_of_72_50_is_sent_as_72_50() -> None:
    found = translating.translate(translating.sample(translating.FIRST_VISIT))

    weight = codec.encode(only(found, "vital-weight"))

    assert b'"value":72.50,' in weight


@pytest.mark.parametrize("written", ["0.50", "36.250", "54.0", "0.1", "100"])
def test_a_dose_keeps_the_digits_that_were_written(written: str) -> None:
    def give(record: Json) -> None:
        record["administrations"][0]["dose"]["value"] = Decimal(written)

    found = changed(give)

    assert f'"dose":{{"value":{written},'.encode() in sent_bytes(found)


@pytest.mark.parametrize(
    ("value", "unit", "milligrams"), [("36250", "ug", "36.250"), ("0.5", "g", "500")]
)
def test_the_dose_is_given_in_milligrams(value: str, unit: str, milligrams: str) -> None:
    def give(record: Json) -> None:
        record["administrations"][0]["dose"] = {"value": Decimal(value), "unit": unit}

    dosage = the_dose(changed(give))

    assert (dosage["dose"]["value"], dosage["dose"]["unit"]) == (Decimal(milligrams), "mg")
    assert dosage["text"].startswith(f"{value} {unit}")


def test_a_dose_by_weight_is_worked_out_in_milligrams_and_kept_as_written() -> None:
    def give(record: Json) -> None:
        record["administrations"][0]["dose"] = {"value": Decimal("0.50"), "unit": "mg/kg"}

    dosage = the_dose(changed(give))

    assert str(dosage["dose"]["value"]) == "36.2500"
    assert dosage["dose"]["unit"] == "mg"
    assert dosage["text"].startswith("0.50 mg/kg; ")


def test_a_number_of_sprays_is_a_dose() -> None:
    def give(record: Json) -> None:
        record["administrations"][0]["dose"] = {"value": 6, "unit": "spray"}

    dosage = the_dose(changed(give, "08-nasal-visit-1.v1"))

    assert dosage["dose"]["value"] == 6
    assert dosage["dose"]["code"] == "{spray}"


def test_equal_sprays_are_all_told() -> None:
    def forget_times(record: Json) -> None:
        for device in record["administrations"][0]["devices"]:
            del device["time"]

    dosage = the_dose(changed(forget_times, "08-nasal-visit-1.v1"))

    assert dosage["text"].count("device 28 mg") == 3


@pytest.mark.parametrize("name", translating.SAMPLES)
def test_the_sum_of_all_doses_in_the_chart_is_what_was_given(name: str) -> None:
    sent = translating.sample(name)

    given = bodies(translating.translate(sent), "medication-administration")

    in_chart = sum(row["dosage"]["dose"]["value"] for row in given if "dosage" in row)
    done = [row for row in sent["administrations"] if row["status"] not in ("not-done", "planned")]
    assert in_chart == sum(row["dose"]["value"] for row in done)


# Crisis


def test_a_crisis_reaches_the_chart() -> None:
    def crash(record: Json) -> None:
        record["vitals"][1] |= {
            "blood_pressure": {"systolic": {"value": 40, "unit": "mmHg"}},
            "heart_rate": {"value": 20, "unit": "/min"},
            "respiratory_rate": {"value": 0, "unit": "/min"},
            "spo2": {"value": 45, "unit": "%"},
        }

    found = changed(crash)

    time = translating.sample(translating.FIRST_VISIT)["vitals"][1]["time"]
    assert value_at(found, "vital-oxygen-saturation", time) == 45
    assert value_at(found, "vital-respiratory-rate", time) == 0
    assert value_at(found, "vital-heart-rate", time) == 20
    pressure = bodies(found, "vital-blood-pressure")[1]
    assert pressure["component"][0]["valueQuantity"]["value"] == 40


def test_a_missing_side_of_a_blood_pressure_says_why() -> None:
    def lose_one(record: Json) -> None:
        record["vitals"][0]["blood_pressure"] = {
            "systolic": {"value": 124, "unit": "mmHg"},
            "diastolic": {"absent_reason": "error"},
            "mean": {"value": 90, "unit": "mmHg"},
        }
        record["vitals"][1]["blood_pressure"] = {"diastolic": {"value": 80, "unit": "mmHg"}}

    first, second, _ = bodies(changed(lose_one), "vital-blood-pressure")

    assert code_of(first["component"][1]) == "8462-4"
    assert first["component"][1]["dataAbsentReason"]["coding"][0]["code"] == "error"
    assert second["component"][0]["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert second["component"][1]["valueQuantity"]["value"] == 80


def test_a_reading_that_was_not_taken_says_so_and_never_reads_as_normal() -> None:
    def skip(record: Json) -> None:
        record["vitals"][0]["heart_rate"] = {"absent_reason": "not-performed"}

    reading = bodies(changed(skip), "vital-heart-rate")[0]

    assert "valueQuantity" not in reading
    assert reading["dataAbsentReason"]["coding"][0]["code"] == "not-performed"


def test_oxygen_that_was_given_is_shown_even_without_a_saturation() -> None:
    def lose_probe(record: Json) -> None:
        del record["vitals"][1]["spo2"]

    reading = bodies(changed(lose_probe), "vital-oxygen-saturation")[1]

    assert reading["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert reading["component"][0]["valueQuantity"]["code"] == "L/min"


# Doses that are not plain


def test_a_dose_that_cannot_be_true_is_sent_as_unknown_with_its_route() -> None:
    def forget_the_unit(record: Json) -> None:
        del record["administrations"][0]["dose"]["unit"]

    dosage = the_dose(changed(forget_the_unit))

    assert dosage["dose"] == {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    assert dosage["route"]["coding"][0]["code"] == "47625008"
    assert dosage["text"].startswith("dose not known")


def test_a_dose_that_nobody_knows_gives_the_clinics_reason() -> None:
    def forget(record: Json) -> None:
        record["administrations"][0]["dose"] = {"absent_reason": "asked-unknown"}

    dosage = the_dose(changed(forget))

    assert dosage["dose"]["extension"][0]["valueCode"] == "asked-unknown"


def test_a_drug_that_was_not_given_has_no_dosage_and_says_why() -> None:
    def refuse(record: Json) -> None:
        row = record["administrations"][0]
        row |= {"status": "not-done", "status_reason": {"key": "patient-refused"}}
        for name in ("dose", "rates", "end", "supplies"):
            del row[name]

    given = only(changed(refuse), "medication-administration")

    assert given["status"] == "not-done"
    assert "dosage" not in given
    assert given["statusReason"][0]["coding"][0]["code"] == "105480006"
    assert problems(given) == []


def test_a_planned_drug_is_not_in_the_chart_as_given() -> None:
    def plan(record: Json) -> None:
        row = record["administrations"][0]
        row["status"] = "planned"
        del row["dose"]

    assert bodies(changed(plan), "medication-administration") == []


def test_an_infusion_that_was_never_closed_stays_open() -> None:
    def leave_open(record: Json) -> None:
        row = record["administrations"][0]
        row["status"] = "in-progress"
        del row["end"]
        del row["rates"][0]["end"]

    given = only(changed(leave_open), "medication-administration")

    assert given["status"] == "in-progress"
    assert "end" not in given["effectivePeriod"]


def test_one_constant_rate_stands_beside_the_dose() -> None:
    dosage = the_dose(translating.translate(translating.sample(translating.FIRST_VISIT)))

    assert dosage["rateQuantity"]["value"] == Decimal("54.375")
    assert dosage["rateQuantity"]["code"] == "mg/h"


@pytest.mark.parametrize("name", ["03-iv-series-visit-3.v1", "05-iv-series-visit-5.v1"])
def test_a_rate_that_changed_is_told_in_words_and_the_dose_stands_once(name: str) -> None:
    dosage = the_dose(translating.translate(translating.sample(name)))

    assert "rateQuantity" not in dosage
    assert dosage["text"].count("mg/h from") == 2
    assert "value" in dosage["dose"]


def test_the_lot_and_its_expiry_stand_on_the_drug() -> None:
    given = only(
        translating.translate(translating.sample(translating.FIRST_VISIT)),
        "medication-administration",
    )

    assert given["contained"][0]["batch"] == {
        "lotNumber": "SYN-LOT-77",
        "expirationDate": "2027-01-31",
    }
    assert given["medicationReference"] == {"reference": "#medication"}
    assert "medicationCodeableConcept" not in given


def test_several_lots_are_all_named() -> None:
    def add_vial(record: Json) -> None:
        row = record["administrations"][0]
        row["supplies"].append({"id": "s-2", "lot": "SYN-LOT-78"})

    given = only(changed(add_vial), "medication-administration")

    assert given["note"][0]["text"] == "Lots: SYN-LOT-77, SYN-LOT-78"
    assert given["medicationCodeableConcept"]["text"] == "Ketamine"


def test_the_weight_that_the_dose_was_reckoned_by_is_linked() -> None:
    found = translating.translate(translating.sample(translating.FIRST_VISIT))

    weight = only(found, "vital-weight")
    given = only(found, "medication-administration")

    assert given["supportingInformation"] == [{"reference": f"Observation/{weight['id']}"}]


def test_a_drug_without_a_key_is_sent_as_the_clinic_wrote_it() -> None:
    def mix(record: Json) -> None:
        record["administrations"][0]["drug"] = {"text": "Ketamine and magnesium, compounded"}
        record["administrations"][0]["ingredients"] = [
            {"id": "g-1", "drug": {"key": "ketamine"}},
            {"id": "g-2", "drug": {"key": "magnesium-sulfate"}},
        ]

    medication = only(changed(mix), "medication-administration")["contained"][0]

    assert medication["code"] == {"text": "Ketamine and magnesium, compounded"}
    parts = [part["itemCodeableConcept"]["text"] for part in medication["ingredient"]]
    assert parts == ["Ketamine", "Magnesium sulfate"]


def test_a_spray_that_the_patient_took_names_the_patient_and_the_observer() -> None:
    found = translating.translate(translating.sample("08-nasal-visit-1.v1"))

    performers = only(found, "medication-administration")["performer"]

    assert performers[0]["actor"]["reference"].startswith("Patient/")
    assert performers[1]["function"] == {"text": "Observer"}
    assert performers[1]["actor"]["reference"].startswith("Practitioner/")


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
