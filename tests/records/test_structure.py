from decimal import Decimal
from typing import Any

import pytest

from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.findings import Level
from tests.records.visits import ABSENT, a_visit, edited, findings, found, load

REFUSED = [
    # what is missing
    ("/schema", ABSENT, "R101", "/schema"),
    ("/session_id", ABSENT, "R101", "/session_id"),
    ("/version", ABSENT, "R101", "/version"),
    ("/recorded_at", ABSENT, "R101", "/recorded_at"),
    ("/status", ABSENT, "R101", "/status"),
    ("/patient", ABSENT, "R101", "/patient"),
    ("/patient/id", ABSENT, "R101", "/patient/id"),
    ("/patient/as_of", ABSENT, "R101", "/patient/as_of"),
    ("/patient/name/family", ABSENT, "R101", "/patient/name/family"),
    ("/visit/start", ABSENT, "R101", "/visit/start"),
    ("/visit/class", ABSENT, "R101", "/visit/class"),
    ("/vitals/1/id", ABSENT, "R101", "/vitals/1/id"),
    ("/administrations/0/rates/0/rate", ABSENT, "R101", "/administrations/0/rates/0/rate"),
    # what has the wrong type
    ("/schema", "fhirbridge/session/v2", "R106", "/schema"),
    ("/version", "1", "R102", "/version"),
    ("/version", Decimal("1.0"), "R102", "/version"),
    ("/version", True, "R102", "/version"),
    ("/version", 0, "R104", "/version"),
    ("/version", 2**31, "R104", "/version"),
    ("/vitals", {}, "R102", "/vitals"),
    ("/vitals/0", [], "R102", "/vitals/0"),
    ("/labels", ["synthetic"] * 5001, "R104", "/labels"),
    ("/patient", [], "R102", "/patient"),
    ("/patient", "pt-iv-001", "R102", "/patient"),
    ("/vitals/0/spo2/value", "98", "R102", "/vitals/0/spo2/value"),
    ("/vitals/0/spo2/value", True, "R102", "/vitals/0/spo2/value"),
    ("/vitals/0/spo2/value", 10**18, "R104", "/vitals/0/spo2/value"),
    ("/vitals/0/spo2/value", None, "R103", "/vitals/0/spo2/value"),
    ("/vitals/0/spo2", 98, "R102", "/vitals/0/spo2"),
    ("/administrations/0/observed", "yes", "R102", "/administrations/0/observed"),
    ("/session_id", 7, "R102", "/session_id"),
    ("/session_id", "", "R104", "/session_id"),
    ("/session_id", " x", "R104", "/session_id"),
    ("/session_id", "x" * 129, "R104", "/session_id"),
    ("/visit/room", "two\nlines", "R104", "/visit/room"),
    ("/visit/room", "bell \x07", "R104", "/visit/room"),
    # dates and times
    ("/visit/start", "2026-03-02", "R110", "/visit/start"),
    ("/visit/start", "2026-02-30T09:00:00-05:00", "R110", "/visit/start"),
    ("/visit/start", "2026-03-02T09:00-05:00", "R110", "/visit/start"),
    ("/visit/start", "20260302T090000Z", "R110", "/visit/start"),
    ("/visit/start", "2026-03-02T09:00:00+15:00", "R110", "/visit/start"),
    ("/visit/start", 20260302, "R102", "/visit/start"),
    ("/patient/birth_date", "84-06-11", "R110", "/patient/birth_date"),
    ("/patient/birth_date", "1984-13", "R110", "/patient/birth_date"),
    ("/patient/birth_date", "1984-06-11T00:00:00Z", "R110", "/patient/birth_date"),
    ("/plan/start", "2026-03", "R110", "/plan/start"),
    ("/clinic/zone", "Eastern", "R111", "/clinic/zone"),
    ("/clinic/zone", "../etc/passwd", "R111", "/clinic/zone"),
    # words and codes
    ("/visit/status", "complete", "R106", "/visit/status"),
    ("/labels/0", "sythetic", "R106", "/labels/0"),
    ("/labels/-", "celebrity", "R106", "/labels/1"),
    ("/administrations/0/drug/key", "ketamin", "R107", "/administrations/0/drug/key"),
    ("/administrations/0/drug", {}, "R108", "/administrations/0/drug"),
    ("/administrations/0/drug/text", "both", "R108", "/administrations/0/drug"),
    ("/administrations/0/drug", {"code": "6130"}, "R108", "/administrations/0/drug"),
    ("/administrations/0/drug", {"system": "urn:x"}, "R108", "/administrations/0/drug"),
    ("/administrations/0/drug", {"text": "a", "display": "b"}, "R108", "/administrations/0/drug"),
    # fields that are not there
    ("/vitals/0/sp02", {}, "R105", "/vitals/0/sp02"),
    ("/patient/ssn", "000-00-0000", "R105", "/patient/ssn"),
    ("/administrations/0/dose/units", "mg", "R105", "/administrations/0/dose/units"),
    ("/amends", 1, "R118", "/amends"),
]


@pytest.mark.parametrize(("edit", "value", "code", "pointer"), REFUSED)
def test_what_is_wrong_is_refused_at_its_place(
    edit: str, value: Any, code: str, pointer: str
) -> None:
    record = edited(a_visit(), (edit, value))

    assert ("error", code, pointer) in found(record)


@pytest.mark.parametrize(("edit", "value", "code", "pointer"), REFUSED)
def test_one_mistake_gives_one_error(edit: str, value: Any, code: str, pointer: str) -> None:
    record = edited(a_visit(), (edit, value))

    errors = [finding for finding in findings(record) if finding.level is Level.ERROR]

    assert [(error.code, error.pointer) for error in errors] == [(code, pointer)]


@pytest.mark.parametrize("value", [None, [], "text", 1, True, Decimal("0.5")])
def test_a_record_that_is_no_object_is_refused(value: Any) -> None:
    assert found(value) == [("error", "R102", "")]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b'{"a": 1e999}']
)
def test_bytes_that_are_not_strict_json_are_told_from_a_record_that_is_refused(raw: bytes) -> None:
    with pytest.raises(codec.NotJsonError) as refusal:
        schema.load(raw)

    assert refusal.value.http_status == 400


def test_all_mistakes_are_reported_at_once_errors_first() -> None:
    record = edited(
        a_visit(),
        ("/vitals/2/spo2/value", 137),
        ("/patient/gender", "woman"),
        ("/vitals/0/heart_rate/value", 20),
        ("/visit/start", ABSENT),
        ("/administrations/0/performer", "st-nobody"),
    )

    assert found(record) == [
        ("error", "R106", "/patient/gender"),
        ("error", "R101", "/visit/start"),
        ("error", "R115", "/administrations/0/performer"),
        ("held", "R207", "/vitals/2/spo2"),
        ("warning", "R301", "/vitals/0/heart_rate"),
    ]


def test_a_refusal_is_422_and_says_how_many_errors_there_are() -> None:
    record = edited(a_visit(), ("/patient/gender", "woman"), ("/visit/start", ABSENT))

    with pytest.raises(schema.InvalidRecordError) as refusal:
        load(record)

    assert refusal.value.http_status == 422
    assert "/patient/gender" in refusal.value.message
    assert "and 1 more" in refusal.value.message


@pytest.mark.parametrize(
    ("edit", "value", "suggestion"),
    [
        ("/vitals/0/sp02", {}, "spo2"),
        ("/patient/birthdate", "1984", "birth_date"),
        ("/administrations/0/drug/key", "ketamin", "ketamine"),
        ("/administrations/0/route/key", "Intravenous Infusion", "intravenous-infusion"),
        ("/visit/status", "complete", "completed"),
        ("/labels/0", "sythetic", "synthetic"),
    ],
)
def test_a_typing_mistake_names_the_nearest_known_word(
    edit: str, value: Any, suggestion: str
) -> None:
    record = edited(a_visit(), (edit, value))

    assert f"did you mean '{suggestion}'?" in findings(record)[0].message


def test_a_word_without_a_near_one_names_the_few_that_there_are() -> None:
    message = findings(edited(a_visit(), ("/visit/class", "moon")))[0].message

    assert "use ambulatory, emergency, inpatient, home" in message


def test_a_key_without_a_near_one_is_shown_the_way_of_text() -> None:
    message = findings(edited(a_visit(), ("/administrations/0/drug/key", "zzz")))[0].message

    assert "send it as text" in message


def test_nothing_real_is_refused_because_no_code_was_foreseen() -> None:
    record = edited(
        a_visit(),
        ("/administrations/0/drug", {"text": "house mixture 3"}),
        ("/administrations/0/site", {"system": "urn:oid:1.2.3", "code": "x", "display": "Shin"}),
    )

    assert load(record).document["administrations"][0]["drug"] == {"text": "house mixture 3"}


def test_a_field_name_that_may_be_anything_is_not_repeated() -> None:
    record = edited(a_visit(), ("/patient/Maria Alvarez 1984", 1))

    finding = findings(record)[0]

    assert (finding.code, finding.pointer) == ("R105", "/patient")
    assert "Maria" not in finding.message


def test_a_row_of_findings_has_an_end() -> None:
    record = a_visit(vitals=[7] * 5000)

    errors = found(record)

    assert len(errors) == 1001
    assert ("error", "R199", "") in errors


def test_decimals_are_kept_to_the_digit() -> None:
    document = load(a_visit()).document

    assert str(document["administrations"][0]["weight_used"]["value"]) == "72.50"
    assert str(document["orders"][0]["dose_per_weight"]["value"]) == "0.50"


def test_the_hash_is_that_of_what_was_sent_not_of_what_is_left() -> None:
    record = edited(a_visit(), ("/vitals/2/spo2/value", 137))

    assert load(record).content_hash == codec.content_hash(record)
    assert load(record).content_hash != codec.content_hash(load(record).document)


def test_a_retracted_visit_needs_its_identity_and_nothing_more() -> None:
    identity = ("schema", "session_id", "recorded_at")
    record = {name: a_visit()[name] for name in identity}
    record |= {"version": 2, "status": "entered-in-error", "patient": {"id": "pt-iv-001"}}

    checked = load(record)

    assert checked.findings == ()
    assert checked.document == record


def test_a_retraction_may_name_the_session_alone() -> None:
    record = {name: a_visit()[name] for name in ("schema", "session_id", "recorded_at")}
    record |= {"version": 2, "status": "entered-in-error"}

    assert load(record).document == record


def test_what_a_retraction_still_says_must_be_right() -> None:
    record = edited(a_visit(status="entered-in-error"), ("/consents/0/kind", ABSENT))

    assert found(record) == [("error", "R101", "/consents/0/kind")]


@pytest.mark.parametrize("name", ["schema", "session_id", "version", "recorded_at"])
def test_a_retracted_visit_without_its_identity_is_refused(name: str) -> None:
    record = edited(a_visit(status="entered-in-error"), (f"/{name}", ABSENT))

    assert found(record) == [("error", "R101", f"/{name}")]


def test_a_retraction_that_names_a_patient_says_which() -> None:
    record = edited(a_visit(status="entered-in-error"), ("/patient/id", ABSENT))

    assert found(record) == [("error", "R101", "/patient/id")]


def test_a_contact_between_visits_has_no_class() -> None:
    record = edited(a_visit(), ("/visit/kind", "between-visit"), ("/visit/class", ABSENT))

    assert found(record) == []
