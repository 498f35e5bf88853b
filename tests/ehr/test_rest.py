"""Requests as they go to an EHR: nothing in a URL that names a person, nothing sent twice."""

import pytest

from fhirbridge.egress.exchange import NotSent, Response, Unknown
from fhirbridge.ehr.rest import Ehr, Outcome, is_loopback
from fhirbridge.fhir import codec
from tests.ehr.scripted import ScriptedTransport, answer

BASE = "https://ehr.example.org/fhir"


def asked(call: str, *arguments: object, **named: object) -> tuple[ScriptedTransport, Outcome]:
    transport = ScriptedTransport([answer(200)])
    outcome = getattr(Ehr(base_url=BASE, transport=transport), call)(*arguments, **named)
    return transport, outcome


@pytest.mark.parametrize(
    ("call", "arguments", "method", "url"),
    [
        ("metadata", (), "GET", f"{BASE}/metadata"),
        ("read", ("Patient/abc",), "GET", f"{BASE}/Patient/abc"),
        ("delete", ("Patient/abc",), "DELETE", f"{BASE}/Patient/abc"),
        ("bundle", (b"{}",), "POST", BASE),
        ("read_many", (["Patient/abc"],), "POST", BASE),
    ],
)
def test_each_call_is_one_request(
    call: str, arguments: tuple[object, ...], method: str, url: str
) -> None:
    transport, _ = asked(call, *arguments)

    (request,) = transport.requests
    assert (request.method, request.url) == (method, url)
    assert request.headers["Accept"] == codec.FHIR_JSON


def test_a_bundle_goes_exactly_as_it_was_written() -> None:
    body = b'{"resourceType":"Bundle","value":72.50}'

    transport, _ = asked("bundle", body)

    assert transport.requests[0].body == body
    assert transport.requests[0].headers["Content-Type"] == codec.FHIR_JSON


def test_what_has_no_body_names_no_content_type() -> None:
    transport, _ = asked("read", "Patient/abc")

    assert transport.requests[0].body is None
    assert "Content-Type" not in transport.requests[0].headers


def test_a_put_is_guarded() -> None:
    transport, _ = asked("put", "Patient/abc", b"{}", if_match='W/"3"')

    assert transport.requests[0].headers["If-Match"] == 'W/"3"'


def test_many_are_read_by_one_batch_of_gets_in_the_order_asked() -> None:
    transport, _ = asked("read_many", ["Patient/abc", "Observation/x"])

    sent = codec.decode(transport.requests[0].body or b"")
    assert sent["type"] == "batch"
    assert [entry["request"] for entry in sent["entry"]] == [
        {"method": "GET", "url": "Patient/abc"},
        {"method": "GET", "url": "Observation/x"},
    ]


@pytest.mark.parametrize(
    "outcome", [answer(200), answer(500), NotSent(reason="dns: none"), Unknown(reason="read: cut")]
)
def test_what_came_of_it_is_handed_back_as_it_is(outcome: Outcome) -> None:
    ehr = Ehr(base_url=BASE, transport=ScriptedTransport([outcome]))

    assert ehr.read("Patient/abc") is outcome


def test_the_deadline_is_the_whole_exchange_and_shorter_than_half_a_lease() -> None:
    deadlines: list[float] = []

    class Timed:
        def send(self, _request: object, *, deadline_seconds: float) -> Response:
            deadlines.append(deadline_seconds)
            return answer(200)

    Ehr(base_url=BASE, transport=Timed()).metadata()

    assert deadlines == [30.0]


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/fhir", True),
        ("http://localhost/fhir", True),
        ("http://[::1]:1/fhir", True),
        ("http://127.0.0.1.evil.example/fhir", False),
        ("http://10.0.0.1/fhir", False),
        ("https://localhost.example.org/fhir", False),
    ],
)
def test_only_this_machine_is_loopback(url: str, *, here: bool) -> None:
    assert is_loopback(url) is here


def without_batches(*outcomes: Outcome) -> Outcome:
    transport = ScriptedTransport(outcomes)
    ehr = Ehr(base_url=BASE, transport=transport, batches=False)
    answered = ehr.through(lambda inner: inner).read_many(["Patient/a", "Patient/b"])
    assert {one.method for one in transport.requests} == {"GET"}
    return answered


def test_without_batches_many_are_read_one_by_one_and_answered_as_by_one_batch() -> None:
    answered = without_batches(answer(200, b'{"n":72.50}'), answer(410, b"", date="now"))

    assert isinstance(answered, Response)
    assert answered.headers["date"] == "now"
    assert answered.body == (
        b'{"resourceType":"Bundle","type":"batch-response","entry":['
        b'{"response":{"status":"200"},"resource":{"n":72.50}},{"response":{"status":"410"}}]}'
    )


@pytest.mark.parametrize(
    "odd", [answer(503), answer(200, b"<html>"), NotSent(reason="refused"), Unknown(reason="cut")]
)
def test_the_first_read_that_does_not_say_what_is_there_is_the_answer(odd: Outcome) -> None:
    assert without_batches(answer(404), odd) is odd
