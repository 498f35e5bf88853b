"""What must never happen, as far as translation alone can make it happen.

The numbers are those of the list of such things; the rest of it is proven where it can happen.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.translate.values import Translation
from fhirbridge.workbench.rehearsal import rehearse
from tests.golden import translating
from tests.golden.translating import Json, bodies, only
from tests.prove import corpus

RATE_CHILDREN = "rate-children"
OVERLAYS = ("", RATE_CHILDREN, "adverse-event-resource")
DOSED = range(4 * len(corpus.KINDS))
MICROGRAM = Decimal("0.001")
MILLIGRAMS = {"mg": Decimal(1), "ug": MICROGRAM, "mcg": MICROGRAM, "g": Decimal(1000)}
POUND, OUNCE = Decimal("0.45359237"), Decimal("0.028349523125")
KILOGRAMS = {"kg": Decimal(1), "g": MICROGRAM, "lb": POUND, "oz": OUNCE}


def case(name: str, overlay: str = "") -> Translation:
    raw = (translating.MAPPINGS / "tests" / name / "record.json").read_bytes()
    return rehearse(schema.load(raw).document, corpus.compiled(overlay=overlay))


def values(found: Translation, mapping: str) -> list[Any]:
    return [body["valueQuantity"]["value"] for body in bodies(found, mapping)]


def test_safety_01_a_crisis_reading_is_never_refused() -> None:
    found = case("vital-crisis")

    pressure = only(found, "vital-blood-pressure")["component"]
    assert found.problems == ()
    assert values(found, "vital-oxygen-saturation") == [45]
    assert values(found, "vital-respiratory-rate") == [0]
    assert values(found, "vital-heart-rate") == [20]
    assert [part["valueQuantity"]["value"] for part in pressure] == [40, 20]


@pytest.mark.parametrize("answer", [None, "not-checked", "unknown"])
def test_safety_06_a_screen_that_was_not_answered_is_never_shown_as_a_no(
    answer: str | None,
) -> None:
    def leave_open(sent: Json) -> None:
        for row in sent["consultation"]["screen"]:
            del row["answer"]
            if answer:
                row["answer"] = answer

    found = translating.changed(leave_open, translating.WHOLE)

    screen = bodies(found, "contraindication-screen")
    assert len(screen) == 8
    assert not any("valueCodeableConcept" in body for body in screen)
    assert all(body["dataAbsentReason"] and body["effectiveDateTime"] for body in screen)


def test_safety_06_an_item_without_a_code_is_never_shown_as_a_no() -> None:
    def answer_by_an_own_code(sent: Json) -> None:
        own = {"system": "urn:oid:2.16.840.1.113883.19.7", "code": "X1"}
        sent["consultation"]["screen"] = [{"id": "sc-1", "item": own, "answer": "not-checked"}]

    found = translating.changed(answer_by_an_own_code, translating.WHOLE)

    (body,) = bodies(found, "contraindication-screen")
    assert body["dataAbsentReason"]["text"] == "Not checked"
    assert "valueCodeableConcept" not in body


def test_safety_07_an_infusion_that_was_never_closed_is_not_completed() -> None:
    found = case("dose-infusion-still-running")

    dose = only(found, "medication-administration")
    assert dose["status"] == "in-progress"
    assert "end" not in dose["effectivePeriod"]
    assert "effectiveDateTime" not in dose


@pytest.mark.parametrize("mapping", ["patient", "condition", "care-plan", "goal"])
def test_safety_08_what_visits_share_says_as_of_when_it_is_true(mapping: str) -> None:
    first, last = translating.FIRST_VISIT, "06-iv-series-visit-6.v1"
    before = translating.translate(translating.sample(first))
    amended = translating.sample(first) | {"version": 2, "recorded_at": "2026-06-01T09:00:00-05:00"}
    newest = translating.translate(translating.sample(last))

    # Which of them wins is decided by `as_of`, and an amendment of an old visit does not renew it.
    def as_of(found: Translation) -> str:
        return next(made.as_of for made in found.resources if made.mapping == mapping)

    assert as_of(translating.translate(amended)) == as_of(before)
    assert as_of(before) <= as_of(newest)


def test_safety_08_a_held_element_takes_nothing_else_with_it() -> None:
    def mistype(sent: Json) -> None:
        sent["vitals"][0]["spo2"]["value"] = Decimal(137)

    found = translating.changed(mistype)

    whole = translating.translate(translating.sample(translating.FIRST_VISIT))
    left = {made.id for made in found.resources}
    assert [made.mapping for made in whole.resources if made.id not in left] == [
        "vital-oxygen-saturation"
    ]


def given(document: Json) -> Iterator[Decimal]:
    """Work out the mg of each dose that was given, of the record alone."""
    for row in document.get("administrations", []):
        dose = row.get("dose", {})
        if row["status"] in ("planned", "not-done") or "value" not in dose:
            continue
        if dose["unit"] in MILLIGRAMS:
            yield dose["value"] * MILLIGRAMS[dose["unit"]]
        elif dose["unit"].endswith("/kg") and "weight_used" in row:
            per_kilogram = MILLIGRAMS[dose["unit"].removesuffix("/kg")]
            weight = row["weight_used"]
            yield dose["value"] * per_kilogram * weight["value"] * KILOGRAMS[weight["unit"]]


def charted(found: Translation) -> Iterator[Decimal]:
    """Take every dose in mg of the chart, as one does who knows nothing of us."""
    for made in found.resources:
        if made.type == "MedicationAdministration":
            dose = made.body.get("dosage", {}).get("dose", {})
            if dose.get("code") == "mg":
                yield Decimal(dose["value"])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_safety_09_a_dose_is_never_counted_twice(overlay: str) -> None:
    doses = Decimal(0)
    for number in DOSED:
        document = schema.load(codec.encode(corpus.record(number))).document

        found = rehearse(document, corpus.compiled(overlay=overlay))

        assert sum(charted(found)) == sum(given(document)), f"record {number}"
        doses += sum(given(document))
    assert doses > 1000


def test_safety_09_a_dose_in_any_unit_of_mass_is_charted_in_mg() -> None:
    found = case("units-of-each-kind")

    by_pound = [Decimal("36.2873896")] * 2
    assert list(charted(found)) == [*[Decimal("36.25")] * 7, *by_pound, Decimal("36.25")]


def test_safety_09_a_dose_is_never_charted_by_the_kilogram() -> None:
    found = case("units-of-each-kind")

    doses = [body["dosage"]["dose"] for body in bodies(found, "medication-administration")]
    assert not [dose for dose in doses if "/kg" in dose.get("code", "")]


def test_safety_09_a_stretch_at_one_rate_has_no_dose_of_its_own() -> None:
    found = case(f"{RATE_CHILDREN}@dose-infusion-rate-change", RATE_CHILDREN)

    whole = only(found, "medication-administration")
    stretches = bodies(found, "administration-rate")
    assert len(stretches) == 2
    assert all("dose" not in one["dosage"] for one in stretches)
    assert whole["dosage"]["dose"]["value"] == Decimal("36.25")
    assert "rateQuantity" not in whole["dosage"]


def test_safety_11_the_witness_of_waste_never_gave_the_drug() -> None:
    found = case("waste-with-its-witness")

    people = {body["name"][0]["family"]: body["id"] for body in bodies(found, "practitioner")}
    performers = only(found, "medication-administration")["performer"]
    assert [one["actor"]["reference"] for one in performers] == [
        f"Practitioner/{people['Synthetic-Berg']}"
    ]


def test_safety_11_waste_without_a_dose_makes_no_dose() -> None:
    assert bodies(case("waste-without-a-dose"), "medication-administration") == []


@pytest.mark.parametrize(
    "name", ["dose-planned-makes-nothing", "order-that-still-runs-makes-no-prescription"]
)
def test_safety_11_what_is_only_planned_is_never_a_prescription_nor_a_dose(name: str) -> None:
    kinds = {made.type for made in case(name).resources}

    assert not kinds & {"MedicationRequest", "MedicationAdministration", "MedicationStatement"}


def test_safety_11_home_medication_and_past_trials_have_their_status_and_are_no_prescription() -> (
    None
):
    home, past = case("medications-at-home"), case("consultation-prior-treatments-and-goals")

    assert [body["status"] for body in bodies(home, "current-medication")] == [
        "active", "stopped", "not-taken",
    ]  # fmt: skip
    assert only(past, "prior-medication")["status"] == "completed"
    made = {one.type for found in (home, past) for one in found.resources}
    assert "MedicationRequest" not in made


@pytest.mark.parametrize("number", range(len(corpus.KINDS)))
def test_safety_11_no_order_of_ours_is_ever_active(number: int) -> None:
    found = rehearse(schema.load(codec.encode(corpus.record(number))).document, corpus.compiled())

    requests = [made.body for made in found.resources if made.type == "MedicationRequest"]
    assert {body["status"] for body in requests} <= {"completed", "stopped", "cancelled"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_safety_11_an_adverse_event_is_no_problem_and_no_allergy(overlay: str) -> None:
    found = case("adverse-event-serious", overlay)

    assert not {made.type for made in found.resources} & {"Condition", "AllergyIntolerance"}
