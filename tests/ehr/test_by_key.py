"""What an EHR named is found by its key and never written over blindly."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.ehr.rest import Ehr, Outcome
from fhirbridge.fhir import codec
from fhirbridge.fhir.names import Key
from tests.ehr.scripted import BASE, ScriptedTransport, answer

KEY = Key(type="Observation", parameter="identifier", system="urn:s", value="k1")
OURS = {
    "resourceType": "Observation",
    "id": "7",
    "identifier": [{"system": "urn:s", "value": "k1"}],
    "meta": {"versionId": "3"},
}
OTHER = {**OURS, "id": "8", "identifier": [{"system": "urn:s", "value": "k2"}]}
NEXT = [{"relation": "next", "url": f"{BASE}?page=2"}]


def found(*resources: dict[str, Any], **more: Any) -> Response:
    entries = [{"resource": one} for one in resources]
    body = {"resourceType": "Bundle", "type": "searchset", "entry": entries, **more}
    return answer(200, body)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (found(OURS), 200),
        (found(), 404),
        (found(OTHER), 404),
        (found(OTHER, OURS), 200),
        (found(OURS, {**OURS, "id": "9"}), 412),
        (found(OTHER, link=NEXT), 0),
        (answer(200, {"resourceType": "Bundle", "type": "history"}), 0),
        (answer(200, b"<html>"), 0),
        (answer(404), 0),
        (answer(410), 0),
        (answer(429), 429),
        (NotSent(reason="dns: none"), 0),
    ],
    ids=[
        "one", "none", "another's", "ours among others", "two", "not all of it", "a history",
        "HTML", "no such search", "gone", "later", "not sent",
    ],
)  # fmt: skip
def test_a_search_by_key_says_what_a_read_would(said: Outcome, status: int) -> None:
    transport = ScriptedTransport([said])

    outcome = Ehr(base_url=BASE, transport=transport).find(KEY)

    assert (outcome.status if isinstance(outcome, Response) else 0) == status
    (request,) = transport.requests
    assert (request.method, request.url) == ("POST", f"{BASE}/Observation/_search")
    assert parse_qs((request.body or b"").decode()) == {"identifier": ["urn:s|k1"]}


def test_many_are_read_by_id_or_key_and_answered_as_by_one_batch() -> None:
    transport = ScriptedTransport([answer(200, OTHER), found(OURS), found()])
    ehr = Ehr(base_url=BASE, transport=transport)

    outcome = ehr.read_many(["Observation/8", KEY, KEY])

    assert isinstance(outcome, Response)
    entries = codec.decode(outcome.body)["entry"]
    assert [one["response"]["status"] for one in entries] == ["200", "200", "404"]
    assert [one.get("resource", {}).get("id") for one in entries] == ["8", "7", None]


@pytest.mark.parametrize(
    ("seen", "guards", "becomes"),
    [
        (answer(200, OURS), True, "written"),
        (answer(200, OURS), False, "written"),
        (answer(200, {**OURS, "meta": {"versionId": "4"}}), True, 412),
        (answer(200, {**OURS, "meta": {"versionId": "4"}}), False, 412),
        (answer(200, {**OURS, "meta": {}}), False, 412),
        (answer(200, OTHER), True, 410),
        (answer(404), True, 404),
        (answer(410), True, "written"),
        (answer(410), False, 410),
        (answer(410, location=f"{BASE}/Observation/7/_history/3"), False, "written"),
        (answer(410, location=f"{BASE}/Observation/7/_history/4"), False, 410),
        (answer(429), True, 429),
        (answer(200, b"<html>"), True, "not sent"),
        (answer(200, {"resourceType": "OperationOutcome"}), True, "not sent"),
        (Unknown(reason="read: cut"), True, "not sent"),
        (NotSent(reason="dns: none"), True, "not sent"),
    ],
)
def test_r23_only_what_is_ours_and_as_we_knew_it_is_written_over(
    seen: Outcome, *, guards: bool, becomes: object
) -> None:
    transport = ScriptedTransport([seen, answer(200)])
    ehr = Ehr(base_url=BASE, transport=transport, guards=guards)

    outcome = ehr.put("Observation/7", b"{}", if_match='W/"3"', key=KEY)

    methods = [one.method for one in transport.requests]
    assert methods == (["GET", "PUT"] if becomes == "written" else ["GET"])
    if isinstance(becomes, int):
        assert isinstance(outcome, Response)
        assert outcome.status == becomes
    assert isinstance(outcome, NotSent) is (becomes == "not sent")


@pytest.mark.parametrize(
    ("guards", "if_match", "methods"),
    [
        (True, 'W/"3"', ["PUT"]),
        (False, 'W/"3"', ["GET", "PUT"]),
        (False, 'W/"0"', ["PUT"]),  # a create, which the server guards
        (False, "", ["PUT"]),
    ],
)
def test_under_ids_of_ours_only_a_weak_guard_makes_it_read_first(
    *, guards: bool, if_match: str, methods: list[str]
) -> None:
    transport = ScriptedTransport([answer(200, OURS), answer(200)][-len(methods) :])

    Ehr(base_url=BASE, transport=transport, guards=guards).put(
        "Observation/7", b"{}", if_match=if_match
    )

    assert [one.method for one in transport.requests] == methods


def test_both_requests_end_within_half_a_lease() -> None:
    deadlines: list[float] = []

    class Timed:
        def send(self, _request: object, *, deadline_seconds: float) -> Response:
            deadlines.append(deadline_seconds)
            return answer(200, OURS)

    Ehr(base_url=BASE, transport=Timed()).put("Observation/7", b"{}", if_match='W/"3"', key=KEY)

    assert sum(deadlines) == 30.0
