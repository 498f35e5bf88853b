import pytest

from tests.records.visits import a_visit, edited, found, load

LABEL = ["psychotherapy-note"]


@pytest.mark.parametrize(
    "row", ["/administrations/0", "/plan", "/assessments/0/items/0", "/patient"]
)
def test_a_row_that_stays_in_the_clinic_for_its_label_is_told(row: str) -> None:
    assert ("warning", "R337", row) in found(edited(a_visit(), (f"{row}/labels", LABEL)))


def test_a_whole_record_that_stays_is_told_once() -> None:
    assert found(edited(a_visit(), ("/labels", LABEL))) == [("warning", "R337", "")]


def test_a_note_that_stays_is_as_it_should_be() -> None:
    note = {"id": "n-9", "time": "2026-03-02T10:45:00-05:00", "text": "x", "labels": LABEL}

    assert found(edited(a_visit(), ("/notes", [note]))) == []


def test_what_stays_in_the_clinic_is_still_known_to_the_check() -> None:
    record = edited(a_visit(), ("/consents/0/labels", LABEL))

    assert load(record).document["consents"][0]["labels"] == LABEL
