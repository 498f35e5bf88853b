"""An EHR is not trusted: what does not fit is left out, told, and never shown as the patient's."""

import io
from typing import Any

import pytest

from fhirbridge import log
from fhirbridge.fhir import codec
from fhirbridge.pull import asking, sift, words
from fhirbridge.pull.sift import Sifted, Wanted
from tests.fakes import Fault
from tests.journey.canaries import hits
from tests.pull.hospital import Hospital, a_condition, concept, searchset

BASE = "http://ehr.invalid/fhir"
WANTED = Wanted(type="Condition", ehr_id="ehr-1", base_url=BASE)
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "throttled", "diagnostics": "Zq-said"}],
}
DEEP = b'{"resourceType":"Bundle","type":"searchset","entry":' + b"[" * 80 + b"]" * 80 + b"}"


def of(reference: Any, **more: Any) -> dict[str, Any]:
    return {**a_condition("con-9"), "subject": {"reference": reference}, **more}


LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    "another type": ({"resourceType": "Observation", "id": "o"}, "not-asked-for"),
    "no id": (a_condition(id=None), "no-id"),
    "an id that is none": (a_condition(id="../Patient"), "no-id"),
    "nobody's": (a_condition("con-9", subject=None), "whose-is-not-certain"),
    "of a group": (of("Group/ehr-1"), "whose-is-not-certain"),
    "of a contained one": (
        of("#ehr-1", contained=[{"resourceType": "Patient", "id": "ehr-1"}]),
        "whose-is-not-certain",
    ),
    "of a patient elsewhere": (of("https://other.invalid/fhir/Patient/ehr-1"),
                               "whose-is-not-certain"),
    "of a uuid": (of("urn:uuid:0b6a"), "whose-is-not-certain"),
    "a list as reference": (of(["Patient/ehr-1"]), "whose-is-not-certain"),
    "too large": (of("Patient/ehr-1", note=[{"text": "x" * sift.LARGEST}]), "too-large"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT)
def test_s12_what_does_not_fit_is_left_out_and_counted(case: str) -> None:
    body, why = LEFT_OUT[case]
    found = Sifted()

    sift.sift(WANTED, [{"resource": body}, {"resource": a_condition("con-1")}], found)

    assert (found.left_out, found.foreign) == ({why: 1}, False)
    assert list(found.resources) == ["con-1"]


def test_s12_what_was_left_out_is_told_with_what_is_shown() -> None:
    hospital = Hospital()
    bad = [body for body, _ in LEFT_OUT.values()]
    hospital.answer("Condition", searchset(a_condition("con-1"), *bad))

    done = hospital.pull()

    assert not done.is_whole
    assert hospital.ids() == ["Patient/ehr-1", "Condition/con-1"]
    assert sum(hospital.of_type("Condition")["left_out"].values()) == len(LEFT_OUT)
    assert f"{len(LEFT_OUT)} left out, look there" in hospital.of_type("Condition")["words"]


@pytest.mark.parametrize("reference", ["Patient/other", f"{BASE}/Patient/other"])
def test_s12_where_it_shows_another_patients_nothing_of_that_answer_is_used(reference: str) -> None:
    hospital = Hospital(a_condition("con-1"))
    hospital.pull()
    hospital.answer("Condition", searchset(a_condition("con-2"), of(reference)))

    done = hospital.pull()

    assert not done.is_whole
    assert "Condition/con-2" not in hospital.ids()
    assert "Condition/con-9" not in hospital.ids()
    assert "Condition/con-1" in hospital.ids()  # as it was when the EHR last made sense
    assert "something of another patient" in hospital.of_type("Condition")["words"]
    assert len(hospital.heard()) == 1


def test_s12_another_patient_than_the_one_who_was_asked_for_ends_it() -> None:
    hospital = Hospital(a_condition())
    other = {"resourceType": "Patient", "id": "other"}
    hospital.answer("Patient", searchset(other))

    assert hospital.pull().why == "gone"
    assert hospital.views() == []


def test_s12_pages_without_end_are_left_after_a_while() -> None:
    hospital = Hospital()
    onward = searchset(a_condition("con-1"), onward=f"{BASE}?page=2")
    hospital.answer("Condition", onward)

    hospital.pull()

    assert len([one for one in hospital.ehr.transport.sent if "page=2" in one.url]) < (
        asking.MOST_PAGES
    )
    assert hospital.of_type("Condition")["ended"] == "too-much"
    assert "look there" in hospital.of_type("Condition")["words"]
    assert "Condition/con-1" not in hospital.ids()


def test_s12_more_than_is_read_is_said_and_nothing_of_it_is_shown() -> None:
    hospital = Hospital()
    many = [a_condition(f"con-{number}") for number in range(asking.MOST_RESOURCES + 1)]
    hospital.answer("Condition", searchset(*many))

    hospital.pull()

    assert hospital.of_type("Condition")["ended"] == "too-much"


NO_RESULT: dict[str, tuple[Any, int, str]] = {
    "HTML": (b"<html><script>alert(1)</script></html>", 200, "no-sense"),
    "nothing": (b"", 200, "no-sense"),
    "no search result": ({"resourceType": "Bundle", "type": "collection"}, 200, "no-sense"),
    "entries that are none": (
        {"resourceType": "Bundle", "type": "searchset", "entry": {"a": 1}}, 200, "no-sense"
    ),
    "too deep": (DEEP, 200, "no-sense"),
    "an outcome of errors": (OUTCOME, 200, "no-sense"),
    "errors beside the results": (searchset(a_condition("con-2"), OUTCOME), 200, "refused"),
    "a page elsewhere": (
        searchset(a_condition("con-2"), onward="https://other.invalid/fhir?page=2"), 200, "no-sense"
    ),
    "a page with a line break": (
        searchset(a_condition("con-2"), onward=f"{BASE}?page=\r\nHost: x"), 200, "no-sense"
    ),
    "forbidden": (OUTCOME, 403, "refused"),
    "too many": (OUTCOME, 429, "unanswered"),
    "a fault of theirs": (OUTCOME, 500, "unanswered"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_RESULT)
def test_s12_safety_06_what_is_no_result_is_said_and_what_was_read_before_stays(case: str) -> None:
    body, status, ended = NO_RESULT[case]
    hospital = Hospital(a_condition("con-1"))
    hospital.pull()
    hospital.answer("Condition", body, status=status)

    done = hospital.pull()

    assert not done.is_whole
    assert hospital.of_type("Condition")["ended"] == ended
    assert hospital.ids() == ["Patient/ehr-1", "Condition/con-1"]
    assert len(hospital.heard()) == 1


def test_an_ehr_that_is_silent_is_asked_nothing_more() -> None:
    hospital = Hospital(a_condition())
    hospital.ehr.transport.choose = lambda one: (
        Fault.DROPPED if one.url.endswith("/Condition/_search") else None
    )

    done = hospital.pull()

    assert hospital.ehr.transport.sent[-1].url.endswith("/Condition/_search")
    assert [one.ended for one in done.types] == ["ok", *["unanswered"] * 6]


@pytest.mark.parametrize("entry", [None, 1, "x", [], {}, {"resource": 1}, {"resource": {}}])
def test_s12_an_entry_that_is_none_is_left_out(entry: Any) -> None:
    found = Sifted()

    sift.sift(WANTED, [entry], found)

    assert found.left_out == {"not-asked-for": 1}
    assert found.resources == {}


def test_s13_r40_nothing_an_ehr_says_is_logged_told_noted_or_in_an_address() -> None:
    token = "Zq0123456789abcdef"
    lines = io.StringIO()
    log.configure(lines)
    hospital = Hospital(a_condition(code=concept("http://snomed.info/sct", token, token)))
    hospital.ehr.edit("Patient/ehr-1", address=[{"city": token}])
    hospital.pull()
    hospital.answer("Condition", {**OUTCOME, "issue": [{"severity": "error", "code": token}]})
    hospital.pull()
    hospital.answer("Condition", searchset(a_condition(token, patient=token)))
    hospital.pull()
    log.configure()

    assert hits(codec.encode(hospital.shown()), [token]) == [token]
    told = {
        "log": lines.getvalue(),
        "addresses": [one.url for one in hospital.ehr.transport.sent],
        "events": [list(row) for row in hospital.event_rows()],
        "evidence": [list(row)[:9] for row in hospital.evidence("ehr.pulled")],
        "views": [list(row)[:-1] for row in hospital.views()],
        "without values": hospital.bridge.pulls.shown(
            "ehr", hospital.lane, values=False, actor="test"
        ),
        "alerts": hospital.told,
    }
    assert [name for name, one in told.items() if hits(repr(one).encode(), [token])] == []


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\x1b[31mred\x1b]0;title\x07", "\\u001b[31mred\\u001b]0;title\\u0007"),
        ("up\u202edown", "up\\u202edown"),
        ("two\nlines\r", "two\\u000alines\\u000d"),
        ("x" * 300, "x" * 200 + "…"),
    ],
)
def test_s12_s14_what_an_ehr_says_is_text_on_a_terminal_and_nothing_else(
    said: str, shown: str
) -> None:
    assert words.about(a_condition(code=concept(text=said))) == shown
    assert words.state({"status": said}) == shown


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({"medicationCodeableConcept": concept("s", "1", "Tablets")}, "Tablets; 1"),
        ({"medicationReference": {"reference": "Medication/1", "display": "Drops"}}, "Drops"),
        (
            {
                "medicationReference": {"reference": "#m"},
                "contained": [
                    {"resourceType": "Medication", "id": "m", "code": concept(text="Right")},
                    {"resourceType": "Medication", "id": "n", "code": concept(text="Wrong")},
                ],
            },
            "Right",
        ),
        ({"description": concept(text="Sleep better")}, "Sleep better"),
        ({"reaction": [{"substance": concept(text="Ketamine")}]}, "Ketamine"),
        ({"code": ["x"], "title": 5, "reaction": {"substance": 1}, "contained": "x"}, ""),
    ],
)
def test_what_a_resource_is_about_is_found_where_its_type_says_it(
    body: dict[str, Any], about: str
) -> None:
    assert words.about(body) == about
