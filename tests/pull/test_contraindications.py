"""Codes of the clinic's screen are found exactly, and what cannot be judged is said to be so."""

from typing import Any

import pytest

from fhirbridge.pull import contraindications
from fhirbridge.pull.contraindications import Reading
from fhirbridge.records import vocabulary
from tests.pull.hospital import (
    CLINICAL,
    ICD,
    RXNORM,
    SNOMED,
    Hospital,
    a_condition,
    a_prescription,
    an_allergy,
    concept,
)

SEVERITIES = {"", "absolute", "relative", "caution"}


def keys(*resources: dict[str, Any]) -> list[str]:
    return [one.contraindication for one in contraindications.flags(resources)]


def test_the_table_has_the_keys_of_the_clinics_list_and_verified_codes_alone() -> None:
    rows = contraindications.table()

    assert {row.key for row in rows} == set(vocabulary.keys("contraindication"))
    assert {row.severity for row in rows} <= SEVERITIES
    coded = [row for row in rows if row.code]
    assert all(row.verified in ("once", "twice") and row.source for row in coded)
    assert all(set(row.found_in) <= set(contraindications.LOOKED_AT) for row in rows)
    assert all(row.found_in and row.system and row.display for row in coded)
    assert len({(row.system, row.code) for row in coded}) == len(coded)
    assert contraindications.uncoded() == ("uncontrolled-hypertension",)


@pytest.mark.parametrize("row", [one for one in contraindications.table() if one.code],
                         ids=lambda one: f"{one.key} {one.code}")  # fmt: skip
def test_each_code_of_the_table_is_found(row: contraindications.Row) -> None:
    kind = row.found_in[0]
    body = {"resourceType": kind, "id": "x", "code": concept(row.system, row.code)}

    (flag,) = contraindications.flags([body])

    assert (flag.contraindication, flag.code, flag.source) == (row.key, row.code, row.source)
    assert flag.severity == "not graded"
    assert flag.resource == f"{kind}/x"


NOT_FOUND: dict[str, tuple[dict[str, Any], Reading]] = {
    "a longer code of the same beginning": (concept(ICD, "F20.90"), Reading.OTHER),
    "a shorter one": (concept(ICD, "F20"), Reading.OTHER),
    "the same digits of another system": (concept("urn:other", "77386006"), Reading.FOREIGN),
    "a code without a system": ({"coding": [{"code": "77386006"}]}, Reading.FOREIGN),
    "words": (concept(text="Pregnant"), Reading.WORDS),
    "a display": ({"coding": [{"system": SNOMED, "display": "Pregnant"}]}, Reading.WORDS),
    "nothing": ({}, Reading.WORDS),
    "nonsense": ({"coding": [{"system": ["x"], "code": ["77386006"]}, 5]}, Reading.WORDS),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_FOUND)
def test_safety_06_nothing_is_guessed_and_what_is_not_coded_is_to_be_read(case: str) -> None:
    code, reading = NOT_FOUND[case]
    body = {**a_condition(), "code": code}

    assert keys(body) == []
    assert contraindications.reading(body) is reading


def test_a_code_system_is_known_by_its_oid_too() -> None:
    assert keys(a_condition(code=concept("urn:oid:2.16.840.1.113883.6.90", "Z33.1"))) == [
        "pregnancy"
    ]


def test_ketamine_is_looked_for_as_what_somebody_is_allergic_to_and_not_as_a_medication() -> None:
    reacted = an_allergy("a", code=concept(text="see there"),
                         reaction=[{"substance": concept(RXNORM, "6130")}])  # fmt: skip
    taken = a_prescription(medicationCodeableConcept=concept(RXNORM, "6130"))

    assert keys(an_allergy(), reacted, taken) == ["ketamine-allergy"] * 2
    assert contraindications.reading(taken) is Reading.NOT_JUDGED


@pytest.mark.parametrize(
    ("code", "status"),
    [("active", "active"), ("relapse", "active"), ("resolved", "not active"),
     ("remission", "not active"), ("Zq-unknown", "not said")],
)  # fmt: skip
def test_a_flag_says_whether_it_is_active(code: str, status: str) -> None:
    body = a_condition(clinicalStatus=concept(CLINICAL, code))

    (flag,) = contraindications.flags([body])

    assert (flag.status, flag.verification) == (status, "not said")


def test_a_flag_says_that_it_was_refuted_or_an_error() -> None:
    for said in ("refuted", "entered-in-error", "provisional"):
        body = a_condition(verificationStatus=concept("x", said))
        (flag,) = contraindications.flags([body])
        assert flag.verification == said


def test_safety_06_flags_are_shown_with_what_they_do_not_say() -> None:
    hospital = Hospital(
        a_condition("con-1"), a_condition("con-2", code=concept(text="Synthetic words"))
    )
    hospital.pull()

    shown = hospital.shown()

    assert [(one["contraindication"], one["resource"]) for one in shown["flags"]] == [
        ("pregnancy", "Condition/con-1")
    ]
    readings = {one["resource"]: one["reading"] for one in shown["resources"]}
    assert readings["Condition/con-2"] == "not coded: read it"
    assert "Only a clinician can say" in shown["note"]
    assert hospital.of_type("AllergyIntolerance")["words"] == "the EHR has none"
