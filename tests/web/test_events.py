"""Events and batches of signed messages: what each leaves, and that none is lost or done twice."""

import pytest
from sqlalchemy import select

from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.store.hook_tables import patient_merge
from fhirbridge.store.tables import consent, record
from tests.records.visits import a_visit, edited
from tests.web.sending import Sender, an_event, items, states
from tests.web.service import Service

NDJSON = "application/x-ndjson"
PATIENT = a_visit()["patient"]["id"]
SESSION = a_visit()["session_id"]
WITHDRAWN_AT = "2026-12-24T10:00:00Z"  # after what the sample says


@pytest.fixture
def sender(service: Service) -> Sender:
    return Sender(service)


def wrap(kind: str, content: object) -> dict[str, object]:
    return {"type": kind, "timestamp": "2026-03-03T09:00:00Z", "data": content}


def sharing(service: Service) -> list[str]:
    chosen = select(consent.c.status).where(consent.c.kind == "sharing")
    with service.bridge._store.read() as tx:
        return list(tx.scalars(chosen))


def test_a_record_comes_in_an_envelope_as_well(sender: Sender) -> None:
    new = sender.send(wrap("session.recorded", a_visit()), "m1")
    amended = sender.send(wrap("session.amended", a_visit(version=2)), "m2")
    error = sender.send(
        wrap("session.retracted", a_visit(version=3, status="entered-in-error")), "m3"
    )

    assert [states(one) for one in (new, amended, error)] == [["current"]] * 3
    assert [items(one)[0]["form"] for one in (new, amended, error)] == [
        "session.recorded",
        "session.amended",
        "session.retracted",
    ]
    assert items(error)[0]["version"] == 3


def test_a_session_is_taken_back_by_its_id_and_a_later_version_waits(
    service: Service, sender: Sender
) -> None:
    sender.send(a_visit(), "m1")

    answer = sender.send(an_event("session.retracted", session_id=SESSION, reason="wrong"), "m2")
    sender.send(a_visit(version=2), "m3")

    assert (answer.status_code, states(answer)) == (202, ["retracted"])
    with service.bridge._store.read() as tx:
        assert all(tx.scalars(select(record.c.retracted)))


def test_what_comes_before_its_record_is_refused_and_done_when_it_is_sent_again(
    sender: Sender,
) -> None:
    event = an_event("session.retracted", session_id=SESSION, reason="wrong")

    early = sender.send(event, "m1")
    sender.send(a_visit(), "m2")
    again = sender.send(event, "m1")

    assert (early.status_code, codec.decode(early.data)["code"]) == (422, "E241")
    assert (again.status_code, states(again)) == (202, ["retracted"])


def test_a_batch_with_an_event_before_its_record_is_no_success_until_all_is_done(
    sender: Sender,
) -> None:
    """Whoever is told 202 does not send it again."""
    batch = [
        a_visit(session_id="other"),
        an_event("session.retracted", session_id=SESSION, reason="x"),
    ]

    early = sender.send(batch, "m1")
    sender.send(a_visit(), "m2")
    again = sender.send(batch, "m1")

    assert early.status_code == 422
    assert "item 2" in codec.decode(early.data)["detail"]
    assert (again.status_code, states(again)) == (202, ["current", "retracted"])
    assert sender.service.stored() == 2


def test_two_patients_who_are_said_to_be_one_both_wait_for_a_person_and_it_is_told(
    service: Service, sender: Sender
) -> None:
    sender.send(a_visit(), "m1")

    told = an_event("patient.merged", patient_id="pt-other", merged_patient_id=PATIENT)
    answer = sender.send(told, "m2")
    sender.send(told, "m2")

    assert states(answer) == ["held"]
    with service.bridge._store.read() as tx:
        [merge] = tx.execute(select(patient_merge)).all()
    stopped = service.bridge.pauses()
    assert {one["patient"] for one in stopped} == {merge.survivor, merge.merged}
    assert {(one["destination"], one["actor"]) for one in stopped} == {(ANY, "webhook:clinic")}
    service.bridge.check_alerts()
    assert [(one["kind"], one["cause"]) for one in service.bridge.status().alerts] == [
        ("merged", merge.id)
    ]


def test_a_person_lets_both_go_on_also_the_one_without_a_record(
    service: Service, sender: Sender
) -> None:
    sender.send(a_visit(), "m1")
    sender.send(an_event("patient.merged", patient_id="pt-other", merged_patient_id=PATIENT), "m2")
    service.bridge.check_alerts()

    for one in service.bridge.pauses():
        service.bridge.resume(Stopped(ANY, one["patient"]), actor="test")
    service.bridge.check_alerts()

    assert service.bridge.pauses() == service.bridge.status().alerts == []


def test_no_record_changes_its_patient_by_a_merge(sender: Sender) -> None:
    sender.send(a_visit(), "m1")
    sender.send(an_event("patient.merged", patient_id="pt-other", merged_patient_id=PATIENT), "m2")

    moved = sender.send(edited(a_visit(version=2), ("/patient/id", "pt-other")), "m3")

    assert (moved.status_code, codec.decode(moved.data)["code"]) == (409, "E202")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"patient_id": PATIENT, "merged_patient_id": PATIENT}, "E242"),
        ({"patient_id": "x", "merged_patient_id": "y"}, "E241"),
        ({"patient_id": PATIENT}, "E102"),
        ({"patient_id": PATIENT, "merged_patient_id": ""}, "E102"),
        ({"patient_id": PATIENT, "merged_patient_id": "y", "more": 1}, "E102"),
    ],
)
def test_a_merge_that_cannot_be_stops_nobody(
    service: Service, sender: Sender, data: dict[str, object], code: str
) -> None:
    sender.send(a_visit(), "m1")

    answer = sender.send(wrap("patient.merged", data), "m2")

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (422, code)
    assert service.bridge.pauses() == []


def test_r32_a_consent_ends_at_once_and_no_older_record_gives_it_again(
    service: Service, sender: Sender
) -> None:
    sender.send(a_visit(), "m1")
    before = sharing(service)

    answer = sender.send(
        an_event(
            "consent.withdrawn", patient_id=PATIENT, kind="sharing", withdrawn_at=WITHDRAWN_AT
        ),
        "m2",
    )
    sender.send(a_visit(session_id="another visit"), "m3")

    assert (before, states(answer)) == (["active"], ["withdrawn"])
    assert sharing(service) == ["withdrawn"]


def test_r32_it_stays_withdrawn_when_the_records_are_read_anew(
    service: Service, sender: Sender
) -> None:
    sender.send(a_visit(), "m1")
    sender.send(a_visit(session_id="wrong chart"), "m2")
    sender.send(
        an_event(
            "consent.withdrawn", patient_id=PATIENT, kind="sharing", withdrawn_at=WITHDRAWN_AT
        ),
        "m3",
    )

    sender.send(an_event("session.retracted", session_id="wrong chart", reason="x"), "m4")

    assert sharing(service) == ["withdrawn"]


@pytest.mark.parametrize(
    ("kind", "content", "pointer"),
    [
        ("plan.changed", {**a_visit(), "plan": None}, "/data/plan"),
        ("consent.withdrawn", a_visit(), "/data/consents"),
        ("session.retracted", a_visit(), "/data/status"),
        ("patient.merged", a_visit(), "/data"),
        ("session.retracted", {"session_id": "a", "reason": " \t"}, "/data/reason"),
        ("session.recorded", [], "/data"),
        ("session.deleted", {}, "/type"),
        ("consent.withdrawn", {"patient_id": "a", "kind": "b"}, "/data/kind"),
    ],
)
def test_an_event_that_does_not_say_what_its_type_says_is_refused_at_its_place(
    sender: Sender, kind: str, content: object, pointer: str
) -> None:
    answer = sender.send(wrap(kind, content))

    assert answer.status_code == 422
    assert pointer in [one["pointer"] for one in codec.decode(answer.data)["findings"]]
    assert sender.service.stored() == 0


def test_a_plan_without_a_visit_is_a_record_between_visits(sender: Sender) -> None:
    visit = {"kind": "between-visit", "status": "completed", "start": a_visit()["visit"]["start"]}
    kept = ("schema", "session_id", "version", "recorded_at", "status", "clinic", "patient")
    more = ("staff", "conditions", "plan")
    plan = {"visit": visit, **{name: a_visit()[name] for name in (*kept, *more)}}

    answer = sender.send(wrap("plan.changed", plan))

    assert (answer.status_code, states(answer)) == (202, ["current"]), answer.data


@pytest.mark.parametrize("by_lines", [True, False])
def test_of_many_each_is_taken_in_for_itself(sender: Sender, *, by_lines: bool) -> None:
    many = [a_visit(), {"schema": "none"}, a_visit(session_id="b"), a_visit(session_id="b")]
    body = b"\r\n".join(map(codec.encode, many)) + b"\n\n" if by_lines else codec.encode(many)
    media = NDJSON if by_lines else "application/json"

    answer, again = (sender.send(body, "m1", media=media) for _ in range(2))

    assert (answer.status_code, answer.data) == (202, again.data)
    whole = codec.decode(answer.data)
    assert (whole["accepted"], whole["refused"]) == (3, 1)
    assert [one["status"] for one in whole["items"]] == [202, 422, 202, 202]
    assert states(answer) == ["current", "refused", "current", "repeated"]
    assert sender.service.stored() == 2


def test_a_batch_that_was_cut_off_goes_on_where_it_was(
    service: Service, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [
        a_visit(),
        an_event("patient.merged", patient_id=PATIENT, merged_patient_id="x"),
        a_visit(session_id="b"),
    ]
    with monkeypatch.context() as broken:
        broken.setattr(service.bridge._intake, "hear", lambda _hear: 1 / 0)
        assert sender.send(many, "m1").status_code == 500
    assert service.stored() == 1

    whole = sender.send(many, "m1")
    again = sender.send(many, "m1")

    assert states(whole) == ["current", "held", "current"]
    assert whole.data == again.data
    with service.bridge._store.read() as tx:
        assert len(tx.execute(select(patient_merge)).all()) == 1


def test_an_empty_batch_is_taken_in_and_leaves_nothing(sender: Sender) -> None:
    assert codec.decode(sender.send([], "m1").data) == {"items": [], "accepted": 0, "refused": 0}


def test_too_many_at_once_are_refused_as_a_whole(sender: Sender) -> None:
    answer = sender.send(b"[" + b"1," * 1000 + b"1]", "m1")

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (413, "E243")
