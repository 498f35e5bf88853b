"""R41, R42: a signed message is verified before it is read, and taken in once, for ever."""

import threading
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from sqlalchemy import func, select

from fhirbridge.access.tokens import Role
from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.records import schema
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.findings import Finding, Level
from fhirbridge.store.hook_tables import message
from fhirbridge.store.tables import evidence, quarantine
from tests.fakes import START, FrozenClock
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit, edited
from tests.web.sending import HOOK, Sender, an_event, items, states
from tests.web.service import JSON, MOST_BYTES, Service

NDJSON = "application/x-ndjson"
SHORT = codec.encode(an_event("patient.merged", patient_id="a", merged_patient_id="b"))


@pytest.fixture
def sender(service: Service) -> Sender:
    return Sender(service)


def counted(service: Service, table: Any) -> int:
    with service.bridge._store.read() as tx:
        return tx.scalar(select(func.count()).select_from(table)) or 0


def actions(service: Service) -> list[str]:
    chosen = select(evidence.c.action).where(evidence.c.actor == "webhook:clinic")
    with service.bridge._store.read() as tx:
        return list(tx.scalars(chosen.order_by(evidence.c.at)))


def test_r41_a_signed_record_is_stored_and_answered_with_its_address(sender: Sender) -> None:
    answer = sender.send(a_visit())

    [item] = items(answer)
    assert (answer.status_code, item["form"], item["state"]) == (202, "session", "current")
    assert answer.headers["Location"] == item["location"]
    shown = sender.service.client(Role.AUDITOR).get(item["location"])
    assert (shown.status_code, codec.decode(shown.data)["id"]) == (200, item["id"])
    assert actions(sender.service) == ["record.accepted"]


def test_a_signed_stock_document_is_stored(sender: Sender) -> None:
    answer = sender.send(a_stock())

    [item] = items(answer)
    assert (answer.status_code, item["form"]) == (202, "stock")
    assert sender.service.client(Role.AUDITOR).get(item["location"]).status_code == 200


def test_i07_r42_the_same_message_again_gets_the_same_answer_whenever_it_comes(
    service: Service, sender: Sender
) -> None:
    service.bridge.clock = FrozenClock()
    sender.at = START
    first = sender.send(a_visit())

    answers = [sender.send(a_visit())]
    for days in (3, 400, 4000):
        sender.at = START + timedelta(days=days)
        service.bridge.clock = FrozenClock(sender.at)
        answers.append(sender.send(a_visit()))

    assert {(one.status_code, one.data) for one in answers} == {(202, first.data)}
    assert {one.headers["Location"] for one in answers} == {first.headers["Location"]}
    assert (service.stored(), counted(service, message)) == (1, 1)


def test_i03_the_same_record_under_a_new_id_is_a_repeat_and_acknowledged(sender: Sender) -> None:
    first, again = sender.send(a_visit(), "msg_1"), sender.send(a_visit(), "msg_2")

    assert (states(first), states(again)) == (["current"], ["repeated"])
    assert items(first)[0]["id"] == items(again)[0]["id"]
    assert sender.service.stored() == 1


@pytest.mark.parametrize("other", [a_visit(session_id="another"), {}, b"not JSON"])
def test_i02_r42_the_same_id_with_another_body_is_a_conflict_and_noted(
    sender: Sender, other: Any
) -> None:
    sender.send(a_visit())

    refused = sender.send(other)

    assert refused.status_code == 409
    assert codec.decode(refused.data)["code"] == "E240"
    assert sender.service.stored() == 1
    assert counted(sender.service, quarantine) == 0
    assert actions(sender.service) == ["record.accepted", "message.conflict"]


def test_i02_it_is_one_sender_whose_ids_these_are(service: Service, sender: Sender) -> None:
    sender.send(a_visit())

    answer = Sender(service, "lab").send(a_visit(session_id="another"))

    assert (answer.status_code, service.stored()) == (202, 2)


def test_i04_an_older_version_that_comes_after_a_newer_one_is_kept_and_counts_no_more(
    sender: Sender,
) -> None:
    newer, older = sender.send(a_visit(version=3), "msg_1"), sender.send(a_visit(), "msg_2")

    assert (states(newer), states(older)) == (["current"], ["older"])


def test_i05_two_contents_of_one_version_are_told_apart_and_the_first_one_stays(
    sender: Sender,
) -> None:
    sender.send(a_visit(), "msg_1")

    tie = sender.send(edited(a_visit(), ("/visit/room", "9")), "msg_2")

    assert (tie.status_code, codec.decode(tie.data)["code"]) == (409, "E201")
    assert counted(sender.service, quarantine) == 1


@pytest.mark.parametrize("late", [-timedelta(minutes=6), timedelta(minutes=6), timedelta(days=9)])
def test_i06_an_old_message_that_is_played_back_is_refused_and_nothing_is_stored(
    service: Service, sender: Sender, late: timedelta
) -> None:
    body = codec.encode(a_visit())
    captured = sender.headers(body, "msg_1")
    service.bridge.clock = FrozenClock(SystemClock().now() + late)

    answer = sender.post(body, captured)

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (401, "E932")
    assert (service.stored(), counted(service, message)) == (0, 0)


@pytest.mark.parametrize("part", ["webhook-id", "webhook-timestamp", "webhook-signature", "body"])
def test_i08_s04_each_byte_of_a_message_counts(service: Service, sender: Sender, part: str) -> None:
    headers = sender.headers(SHORT, "msg_1")
    whole = SHORT if part == "body" else headers[part].encode()

    for place in range(len(whole)):
        turned = bytearray(whole)
        turned[place] ^= 1
        if part == "body":
            answer = sender.post(bytes(turned), headers)
        else:
            answer = sender.post(SHORT, {**headers, part: turned.decode()})
        assert answer.status_code == 401, place

    assert counted(service, message) + counted(service, quarantine) == 0


def test_i08_no_token_opens_what_is_to_be_signed_and_no_signature_what_needs_a_token(
    service: Service, sender: Sender
) -> None:
    body = codec.encode(a_visit())
    by_token = service.client(Role.ADMIN).post(HOOK, data=body, content_type=JSON)
    by_signature = service.client().post(
        "/api/v1/sessions", data=body, content_type=JSON, headers=sender.headers(body, "msg_1")
    )

    assert (by_token.status_code, by_signature.status_code) == (401, 401)


def test_i09_r43_no_message_is_lost_while_the_secret_changes(
    service: Service, sender: Sender
) -> None:
    old = sender.secret
    new = service.bridge.rotate_source("clinic", None, actor="test")
    answers = []
    for number in range(6):
        sender.secret = (old, new)[number % 2]
        answers.append(sender.send(a_visit(session_id=f"s-{number}"), f"msg_{number}"))
    service.bridge.revoke_source("clinic", actor="test")

    assert {one.status_code for one in answers} == {202}
    assert sender.send(a_visit(), "msg_7").status_code == 401


def test_i11_a_body_past_the_limit_is_refused_before_it_is_verified(sender: Sender) -> None:
    body = b" " * (MOST_BYTES + 1)

    assert sender.send(body).status_code == 413


@pytest.mark.parametrize(
    "body", [b"{", b"[1,", b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b'{"a":NaN}', b"[" * 100_0]
)
def test_i13_what_is_not_strict_json_is_a_400_and_kept_aside_once(
    sender: Sender, body: bytes
) -> None:
    answers = {sender.send(body).status_code for _ in range(3)}

    assert answers == {400}
    assert (sender.service.stored(), counted(sender.service, quarantine)) == (0, 1)


@pytest.mark.parametrize("media", ["application/xml", "text/plain", "x-application/hl7-v2+er7"])
def test_i14_only_json_is_taken(sender: Sender, media: str) -> None:
    assert sender.send(a_visit(), media=media).status_code == 415


def test_i17_a_record_that_is_refused_is_kept_aside_once_and_taken_when_it_is_mended(
    sender: Sender,
) -> None:
    wrong = edited(a_visit(), ("/version", "one"))

    first, again = sender.send(wrong, "msg_1"), sender.send(wrong, "msg_1")
    mended = sender.send(a_visit(), "msg_2")

    assert (first.status_code, again.status_code, mended.status_code) == (422, 422, 202)
    found = codec.decode(first.data)["findings"]
    assert [one["pointer"] for one in found if one["level"] == "error"] == ["/version"]
    assert counted(sender.service, quarantine) == 1


def test_what_was_refused_is_judged_again_when_it_comes_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_raw: bytes) -> None:
        raise InvalidRecordError((Finding(level=Level.ERROR, code="R101", pointer="", message=""),))

    with monkeypatch.context() as older_program:
        older_program.setattr(schema, "load", refuse)
        assert sender.send(a_visit()).status_code == 422

    assert sender.send(a_visit()).status_code == 202


def test_i20_a_locked_database_is_a_503_and_the_next_try_goes_through(sender: Sender) -> None:
    with sender.service.locked():
        refused = sender.send(a_visit())

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert sender.send(a_visit()).status_code == 202


@pytest.mark.parametrize("content", [a_visit(), [a_visit(), a_visit(session_id="b")]])
def test_i01_r42_s39_fifty_at_once_are_one(sender: Sender, content: Any) -> None:
    """Fifty of one message, and fifty of another body under its id."""
    body, other = codec.encode(content), codec.encode(a_visit(session_id="other"))
    answers: list[tuple[bytes, int, bytes]] = []

    def knock(sent: bytes) -> None:
        while (answer := sender.send(sent)).status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            pass  # as a sender does, and less patient
        answers.append((sent, answer.status_code, answer.data))

    threads = [threading.Thread(target=knock, args=(one,)) for one in (body, other) * 25]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    won = {sent for sent, status, _ in answers if status == 202}
    lost = [status for _, status, _ in answers if status != 202]
    assert (len(answers), len(won), len(lost), set(lost)) == (50, 1, 25, {409})
    taken = {bytes(data) for _, status, data in answers if status == 202}
    assert len(taken) == 1
    expected = 2 if isinstance(content, list) and won == {body} else 1
    assert sender.service.stored() == expected


def test_s13_s15_nothing_of_a_message_comes_back_or_into_the_log(sender: Sender) -> None:
    canary = "Kanarienvogel/7261"
    event = an_event("consent.withdrawn", patient_id=canary, kind=canary, withdrawn_at=canary)
    strange = {"type": canary, "timestamp": canary, "data": {canary: canary}}

    answers = [
        sender.send(event, "m1"),
        sender.send(strange, "m2"),
        sender.send([event, strange, {canary: canary}], "m3"),
        sender.send(a_visit(session_id=canary), canary),
        sender.send({}, canary),
        sender.post(b"{}", {**sender.headers(b"{}", canary), "webhook-signature": canary}),
    ]

    assert {one.status_code for one in answers} == {422, 202, 401, 409}
    said = b"".join(one.data + str(one.headers).encode() for one in answers)
    assert canary.encode() not in said
    assert canary not in sender.service.log.getvalue()
