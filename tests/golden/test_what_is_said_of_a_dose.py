"""What the chart says of a dose: when, how much, of what, and what of it was thrown away."""

from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.translate.values import Translation
from tests.golden.altered import Change, a_table, amount, first_dose, notes, put, translated
from tests.golden.translating import Json, note_of, only

ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
INFUSION = "dose-infusion-rate-change"


def the_dose(found: Translation) -> Json:
    return only(found, "medication-administration")


# Times over midnight


def overnight(sent: Json) -> None:
    sent["recorded_at"] = sent["signed"]["at"] = "2026-03-03T08:00:00-05:00"
    sent["visit"] |= {"start": "2026-03-02T21:00:00-05:00", "end": "2026-03-03T03:00:00-05:00"}
    sent["administrations"][0] |= {
        "start": "2026-03-02T23:30:00-05:00",
        "end": "2026-03-03T01:30:00-05:00",
        "dose": amount("60", "mg"),
        "rates": [
            {"id": "r-1", "start": "2026-03-02T23:30:00-05:00",
             "end": "2026-03-03T00:30:00-05:00", "rate": amount("30", "mg/h")},
            {"id": "r-2", "start": "2026-03-03T00:40:00-05:00",
             "end": "2026-03-03T02:30:00-04:00", "rate": amount("30", "mg/h")},
        ],
        "pauses": [{"id": "p-1", "start": "2026-03-03T00:30:00-05:00",
                    "end": "2026-03-03T00:40:00-05:00"}],
        "boluses": [{"id": "b-1", "time": "2026-03-03T00:35:00-05:00", "dose": amount("5", "mg")}],
        "devices": [{"id": "d-1", "time": "2026-03-03T00:36:00-05:00",
                     "given": amount("5", "mg")}],
    }  # fmt: skip
    sent["waste"] = [
        {"id": "w-1", "time": "2026-03-03T02:00:00-05:00", "administration": "a-1",
         "drug": {"key": "ketamine"}, "amount": amount("4", "mg")}
    ]  # fmt: skip


def test_what_is_told_of_another_day_than_the_visits_has_its_date() -> None:
    dose = the_dose(translated(INFUSION, overnight))

    assert dose["dosage"]["text"] == (
        "60 mg; 30 mg/h from 23:30:00 to 2026-03-03 00:30:00; "
        "30 mg/h from 2026-03-03 00:40:00 to 2026-03-03 02:30:00 -04:00; "
        "paused from 2026-03-03 00:30:00 to 2026-03-03 00:40:00; "
        "bolus 5 mg at 2026-03-03 00:35:00; device 5 mg at 2026-03-03 00:36:00"
    )
    assert notes(dose) == ["Wasted: 4 mg at 2026-03-03 02:00:00"]


def test_the_note_of_the_visit_says_the_day_of_what_came_after_midnight() -> None:
    found = translated(INFUSION, overnight)

    note = note_of(only(found, "session-note"))
    assert "<dt>Time</dt><dd>2026-03-02 23:30 to 2026-03-03 01:30</dd>" in note
    assert "2026-03-03 00:40 to 2026-03-03 02:30 -04:00" in note
    assert "<dt>Pause</dt><dd>2026-03-03 00:30 to 2026-03-03 00:40</dd>" in note
    assert "<dt>Bolus</dt><dd>5 mg, 2026-03-03 00:35</dd>" in note


# The amount that was given


@pytest.mark.parametrize(
    ("dose", "weight", "given"),
    [
        (("0.50", "mg/kg"), ("72.5", "kg"), "36.2500"),
        (("500", "ug/kg"), ("72.5", "kg"), "36.25"),
        (("500", "mcg/kg"), ("72.5", "kg"), "36.25"),
        (("500", "µg/kg"), ("72.5", "kg"), "36.25"),
        (("500", "μg/kg"), ("72.5", "kg"), "36.25"),
        (("0.5", "mg/kg"), ("72500", "g"), "36.25"),
        (("0.5", "mg/kg"), ("160", "lb"), "36.2873896"),
        (("500", "ug/kg"), ("160", "lb"), "36.2873896"),
        (("0.5", "mg/kg"), ("2560", "oz"), "36.2873896"),
    ],
)
def test_a_dose_by_weight_is_the_amount_given_whatever_the_units(
    dose: tuple[str, str], weight: tuple[str, str], given: str
) -> None:
    found = translated(INFUSION, first_dose(dose=amount(*dose), weight_used=amount(*weight)))

    made = the_dose(found)
    assert made["dosage"]["dose"]["value"] == Decimal(given)
    assert made["dosage"]["dose"]["code"] == "mg"
    written = made["extension"][0]
    assert written["url"].endswith("/dose-as-written")
    assert written["valueQuantity"]["value"] == Decimal(dose[0])


@pytest.mark.parametrize("weight", [None, {"absent_reason": "not-performed"}])
def test_a_dose_by_a_weight_that_nobody_knows_is_no_amount(weight: Json | None) -> None:
    forget = first_dose(
        dose=amount("0.5", "mg/kg"), weight_used=weight or {"absent_reason": "unknown"}
    )

    made = the_dose(translated(INFUSION, forget))

    assert made["dosage"]["dose"] == {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    assert made["dosage"]["text"].startswith("0.5 mg/kg; amount not known: no weight")
    assert made["extension"][0]["valueQuantity"]["code"] == "mg/kg"


def a_bag(
    drug: Json, *ingredients: tuple[str, str, str], volume: str = "50", unit: str = "mL"
) -> Change:
    return first_dose(
        drug=drug,
        dose=amount(volume, unit),
        rates=[],
        supplies=[],
        ingredients=[
            {"id": f"in-{n}", "drug": {"key": key}, "amount": amount(value, of)}
            for n, (key, value, of) in enumerate(ingredients)
        ],
    )


KETAMINE = {"key": "ketamine"}
IN_SALINE = {"text": "Ketamine in saline"}
K, MAGNESIUM = ("ketamine", "0.725", "mg/mL"), ("magnesium-sulfate", "40", "mg/mL")


@a_table(
    "bag, given",
        (a_bag(KETAMINE, K), "36.25"),
        (a_bag(IN_SALINE, ("ketamine", "725", "ug/mL")), "36.25"),
        (a_bag(IN_SALINE, K, ("sodium-chloride", "9", "mg/mL")), "36.25"),
        (a_bag(KETAMINE, K, MAGNESIUM), "36.25"),
        (a_bag(KETAMINE, K, volume="0.05", unit="L"), "36.25"),
)  # fmt: skip
def test_the_dose_of_a_mixture_is_the_amount_of_its_drug(bag: Change, given: str) -> None:
    made = the_dose(translated(INFUSION, bag))

    assert made["dosage"]["dose"]["value"] == Decimal(given)
    assert made["dosage"]["dose"]["code"] == "mg"
    assert made["dosage"]["text"].startswith(("50 mL", "0.05 L"))
    (strength, *_) = [one["strength"] for one in made["contained"][0]["ingredient"]]
    assert strength["numerator"]["code"] in ("mg", "ug")
    assert strength["denominator"] == {
        "value": 1, "unit": "mL", "system": "http://unitsofmeasure.org", "code": "mL",
    }  # fmt: skip


@a_table(
    "bag",
        # Which of the two the dose would be of, the record does not say.
        a_bag(IN_SALINE, K, MAGNESIUM),
        # All that is in the bag, and not how much of it ran in.
        a_bag(KETAMINE, ("ketamine", "36.25", "mg")),
        a_bag(KETAMINE, ("ketamine", "5", "mL")),
)  # fmt: skip
def test_a_mixture_whose_drug_cannot_be_reckoned_keeps_its_volume(bag: Change) -> None:
    made = the_dose(translated(INFUSION, bag))

    assert made["dosage"]["dose"]["value"] == 50
    assert made["dosage"]["dose"]["code"] == "mL"
    assert "contains Ketamine" in made["dosage"]["text"]


def test_the_strength_on_a_vial_is_told_and_never_multiplied() -> None:
    vial = {"id": "s-1", "lot": "SYN-1", "concentration": amount("50", "mg/mL")}

    made = the_dose(translated(INFUSION, first_dose(dose=amount("50", "mL"), supplies=[vial])))

    assert made["dosage"]["dose"]["code"] == "mL"
    assert "supply of 50 mg/mL" in made["dosage"]["text"]


# What was not given


def refuse(sent: Json) -> None:
    first_dose(
        status="not-done",
        dose=amount("36.25", "mg"),
        dose_per_weight=amount("0.5", "mg/kg"),
        weight_used=amount("72.5", "kg"),
        observed=True,
        rates=[],
        ingredients=[{"id": "in-1", "drug": {"key": "ketamine"}, "amount": amount("1", "mg/mL")}],
        supplies=[{"id": "s-1", "lot": "SYN-1"}],
    )(sent)


def test_what_was_not_given_has_a_reason_and_its_plan_in_words_and_nobody_gave_it() -> None:
    made = the_dose(translated(INFUSION, refuse))

    assert made["status"] == "not-done"
    assert made["statusReason"] == [{"text": "Reason not recorded"}]
    for name in ("dosage", "performer", "extension"):
        assert name not in made
    assert "batch" not in made["contained"][0]
    (text,) = notes(made)
    assert text == (
        "Not given. Planned was: 36.25 mg; 0.5 mg/kg; weight 72.5 kg; Intravenous infusion; "
        "by Synthetic-Berg; lot SYN-1; mixture: Ketamine 1 mg/mL"
    )


def test_a_reason_that_is_known_stands_in_its_place() -> None:
    because = first_dose(status_reason={"key": "patient-refused"})

    made = the_dose(translated(INFUSION, refuse, because))

    assert made["statusReason"][0]["text"] == "Refused by the patient"


# Waste


def spray(*wasted: Json | None, lot: str = "SYN-9") -> Change:
    return first_dose(
        devices=[
            {"id": f"d-{n}", "given": amount("20", "mg"), "lot": lot, "wasted": one}
            for n, one in enumerate(wasted)
        ]
    )


def thrown_away(value: str, **more: Any) -> Change:
    return put(
        "waste",
        [{"id": "w-1", "time": "2026-03-02T10:20:00-05:00", "administration": "a-1",
          "drug": {"key": "ketamine"}, "amount": amount(value, "mg"),
          "giver": "st-nurse", "witness": "st-ordering", **more}],
    )  # fmt: skip


def wastes(body: Json) -> list[Json]:
    found = [one["extension"] for one in body.get("extension", []) if one["url"].endswith("/waste")]
    return [{part["url"]: part for part in one} for one in found]


def test_a_device_with_nothing_left_wastes_nothing() -> None:
    made = the_dose(translated(INFUSION, spray(amount("0", "mg"))))

    assert wastes(made) == []
    assert notes(made) == []


def test_a_waste_of_nothing_is_no_waste() -> None:
    made = the_dose(translated(INFUSION, thrown_away("0")))

    assert wastes(made) == []
    assert notes(made) == []


def test_what_a_device_and_a_row_of_waste_both_name_is_told_once_with_its_witness() -> None:
    made = the_dose(translated(INFUSION, spray(amount("8.0", "mg")), thrown_away("8")))

    (waste,) = wastes(made)
    assert waste["amount"]["valueQuantity"]["value"] == 8
    assert "witness" in waste
    (text,) = notes(made)
    assert text.endswith("by Synthetic-Berg, witnessed by Synthetic-Okafor")


@a_table(
    "devices, row_of_waste",
        (spray(amount("8", "mg")), thrown_away("30")),
        (spray(amount("8", "mg")), thrown_away("8", lot="SYN-OTHER")),
        (spray(amount("8", "mg"), amount("8", "mg")), thrown_away("8")),
)  # fmt: skip
def test_where_it_may_be_the_same_waste_it_is_counted_once_and_told(
    devices: Change, row_of_waste: Change
) -> None:
    made = the_dose(translated(INFUSION, devices, row_of_waste))

    assert len(wastes(made)) == 1
    assert "witness" in wastes(made)[0]
    said = "Named on a device as wasted, perhaps the same: 8 mg, lot SYN-9"
    assert said in notes(made)


def test_waste_that_only_a_device_names_is_told() -> None:
    made = the_dose(translated(INFUSION, spray(amount("8", "mg"))))

    (waste,) = wastes(made)
    assert waste["amount"]["valueQuantity"]["value"] == 8
    assert notes(made) == ["Wasted from a device: 8 mg, lot SYN-9"]
