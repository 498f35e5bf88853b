"""A document after another one: it has an id of its own, and says what it replaces."""

import base64
from typing import Any

from fhirbridge.fhir import validate
from fhirbridge.fhir.addendum import TAKEN_BACK, addendum, in_words

NOTE: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "id": "note",
    "identifier": [
        {"system": "https://clinic.invalid/id/session-note", "value": "note"},
        {"system": "urn:other", "value": "4711"},
    ],
    "status": "current",
    "docStatus": "amended",
    "subject": {"reference": "Patient/p"},
    "description": "Session note",
    "content": [{"attachment": {"contentType": "text/html", "data": "PGh0bWw+"}}],
}


def test_an_addendum_is_the_note_under_an_id_of_its_own() -> None:
    made = addendum(NOTE, own="note.1", replaces="note")

    assert made["id"] == made["identifier"][0]["value"] == "note.1"
    assert made["identifier"][1] == NOTE["identifier"][1]
    target = {"reference": "DocumentReference/note"}
    assert made["relatesTo"] == [{"code": "replaces", "target": target}]
    assert made["content"] == NOTE["content"]
    assert validate.problems(made) == []


def test_it_may_stand_to_the_other_one_in_another_way() -> None:
    made = addendum(NOTE, own="note.1", replaces="note", code="appends")

    assert made["relatesTo"][0]["code"] == "appends"


def test_what_says_that_a_note_is_taken_back_is_no_error_itself() -> None:
    made = in_words({**NOTE, "status": "entered-in-error"}, own="note.2", replaces="note.1")

    assert (made["status"], made["docStatus"]) == ("current", "final")
    page = base64.b64decode(made["content"][0]["attachment"]["data"]).decode()
    assert TAKEN_BACK in page
    assert validate.problems(made) == []
