"""A note that follows another names it, and is otherwise what it was."""

from typing import Any

import pytest

from fhirbridge.fhir import validate
from fhirbridge.fhir.addendum import addendum

NOTE: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "id": "ours",
    "status": "current",
    "docStatus": "amended",
    "content": [{"attachment": {"contentType": "text/html", "data": "PGI+"}}],
}
EARLIER = {"reference": "DocumentReference/ehr-17"}


@pytest.mark.parametrize("code", ["replaces", "appends"])
def test_an_addendum_names_the_note_that_the_ehr_has(code: str) -> None:
    made = addendum(NOTE, replaces="ehr-17", code=code)

    assert made == {**NOTE, "relatesTo": [{"code": code, "target": EARLIER}]}
    assert validate.problems(made) == []
    assert "relatesTo" not in NOTE


def test_what_a_note_already_relates_to_stays_and_the_earlier_is_named_once() -> None:
    other = {"code": "transforms", "target": {"reference": "DocumentReference/scan"}}
    note = {**NOTE, "relatesTo": [other]}

    twice = addendum(
        addendum(note, replaces="ehr-17", code="appends"), replaces="ehr-17", code="replaces"
    )

    assert twice["relatesTo"] == [other, {"code": "replaces", "target": EARLIER}]
    assert note["relatesTo"] == [other]


@pytest.mark.parametrize(
    ("note", "replaces", "code", "said"),
    [
        ({"resourceType": "Observation"}, "ehr-17", "replaces", "only a DocumentReference"),
        (NOTE, "ehr-17", "signs", "replaces, appends"),
        (NOTE, "DocumentReference/ehr-17", "replaces", "its id alone"),
        (NOTE, "", "replaces", "its id alone"),
        (NOTE, "ehr-17\n", "replaces", "its id alone"),
    ],
)
def test_what_cannot_follow_a_note_is_refused(
    note: dict[str, Any], replaces: str, code: str, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        addendum(note, replaces=replaces, code=code)
