from typing import Any

import pytest

from tests.records.visits import ABSENT, a_visit, amount, edited, found, load


@pytest.mark.parametrize(
    ("edit", "value"),
    [
        ("/administrations/0/performer", "st-nobody"),
        ("/administrations/0/performer", "c-trd"),
        ("/administrations/0/order", "o-9"),
        ("/administrations/0/reasons/0", "c-none"),
        ("/orders/0/ordered_by", "pt-iv-001"),
        ("/signed/by", "st-none"),
        ("/plan/conditions/0", "c-none"),
        ("/plan/authors/0", "st-none"),
        ("/vitals/0/related", ["v-404"]),
    ],
)
def test_a_reference_that_names_no_row_is_refused(edit: str, value: Any) -> None:
    pointer = f"{edit}/0" if isinstance(value, list) else edit

    assert found(edited(a_visit(), (edit, value))) == [("error", "R115", pointer)]


def test_the_patient_may_be_the_performer() -> None:
    record = edited(a_visit(), ("/administrations/0/performer", "pt-iv-001"))

    assert load(record).findings == ()


@pytest.mark.parametrize(
    ("part", "copied"),
    [
        ("/vitals/1/id", "v-1"),
        ("/assessments/0/items/3/id", "i1"),
        ("/staff/1/id", "st-ordering"),
        ("/plan/phases/1/id", "ph-1"),
    ],
)
def test_two_rows_of_one_list_with_one_id_are_refused_both(part: str, copied: str) -> None:
    errors = [found for found in found(edited(a_visit(), (part, copied))) if found[1] == "R114"]

    assert len(errors) == 2
    assert ("error", "R114", part) in errors


def test_rows_of_different_lists_may_share_an_id() -> None:
    assert found(edited(a_visit(), ("/assessments/0/id", "v-1"))) == []


def test_rows_are_related_by_an_id_that_only_one_row_has() -> None:
    one = edited(a_visit(), ("/vitals/1/related", ["a-1"]))
    several = edited(one, ("/assessments/0/id", "a-1"))

    assert found(one) == []
    assert found(several) == [("error", "R115", "/vitals/1/related/0")]


@pytest.mark.parametrize("part", ["orders", "administrations", "vitals", "assessments"])
def test_a_row_entered_in_error_needs_only_its_id_and_is_not_handed_on(part: str) -> None:
    retracted = {"id": "x-1", "status": "entered-in-error"}
    record = edited(a_visit(), (f"/{part}/-", retracted))

    checked = load(record)

    assert checked.findings == ()
    assert "x-1" not in [row["id"] for row in checked.document[part]]


def test_a_row_entered_in_error_must_have_its_id() -> None:
    record = edited(a_visit(), ("/vitals/-", {"status": "entered-in-error"}))

    assert found(record) == [("error", "R101", "/vitals/3/id")]


def test_a_consent_entered_in_error_stays_known() -> None:
    record = edited(a_visit(), ("/consents/1/status", "entered-in-error"))

    assert load(record).document["consents"][1]["status"] == "entered-in-error"


def test_a_reference_to_a_row_entered_in_error_is_refused() -> None:
    record = edited(a_visit(), ("/orders/0/status", "entered-in-error"))

    assert found(record) == [("error", "R115", "/administrations/0/order")]


def test_a_reference_to_a_held_row_is_held_with_it() -> None:
    unread = {"id": "v-9", "time": "2026-03-02T10:45:00-05:00", "spo2": amount(137, "%")}
    record = edited(a_visit(), ("/vitals/-", unread), ("/vitals/0/related", ["v-9", "v-2"]))

    checked = load(record)

    assert [finding.code for finding in checked.findings] == ["R207", "R214", "R220"]
    assert checked.document["vitals"][0]["related"] == ["v-2"]


def test_references_into_a_part_with_errors_are_not_blamed() -> None:
    record = edited(a_visit(), ("/staff/1/id", ABSENT))

    assert found(record) == [("error", "R101", "/staff/1/id")]
