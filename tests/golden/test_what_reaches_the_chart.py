"""What a clinician may rely on to find in the chart, whatever happened in the clinic."""

from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.fhir.validate import problems
from fhirbridge.translate.values import Translation
from tests.golden import translating
from tests.golden.translating import Json, bodies, changed, code_of, only, sent_bytes

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"


def the_dose(found: Translation) -> Json:
    dosage: Json = only(found, "medication-administration")["dosage"]
    return dosage


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


def test_what_was_written_stands_beside_a_dose_that_was_worked_out() -> None:
    def give(record: Json) -> None:
        record["administrations"][0]["dose"] = {"value": Decimal("0.50"), "unit": "mg/kg"}

    given = only(changed(give), "medication-administration")

    (written,) = [one for one in given["extension"] if one["url"].endswith("/dose-as-written")]
    assert str(written["valueQuantity"]["value"]) == "0.50"
    assert written["valueQuantity"]["code"] == "mg/kg"


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


def test_the_steps_of_a_rate_stand_in_an_extension_in_their_order() -> None:
    found = translating.translate(translating.sample("03-iv-series-visit-3.v1"))

    given = only(found, "medication-administration")

    steps = [one["extension"] for one in given["extension"] if one["url"].endswith("/rate-step")]
    assert [[part["url"] for part in step] for step in steps] == [["start", "end", "rate"]] * 2
    assert [str(step[2]["valueQuantity"]["value"]) for step in steps] == ["54.30", "45.25"]


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
