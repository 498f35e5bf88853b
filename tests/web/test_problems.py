"""Whatever is wrong is said once, as problem+json (RFC 9457), with the way out."""

from typing import Any

import pytest

from fhirbridge.access.tokens import Role
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.store.engine import StoreBusyError, StoreError
from tests.records.visits import ABSENT, a_visit, edited
from tests.web.service import SESSIONS, STATUS, Service

BAD_JSON = {
    "nothing": b"",
    "half an object": b'{"a": 1',
    "two documents": b"{}{}",
    "not UTF-8": b'{"a": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"a": NaN}',
    "too long a number": b'{"a": ' + b"9" * 5000 + b"}",
    "an endless exponent": b'{"a": 1e999}',
    "the same key twice": b'{"a": 1, "a": 2}',
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "U+0000": b'{"a": "\\u0000"}',
    "a deep nest": b"[" * 20_000 + b"]" * 20_000,
    "XML under the name of JSON": b"<ClinicalDocument/>",
    "HL7 v2": b"MSH|^~\\&|CLINIC",
}


def test_a_refused_record_gets_all_findings_at_once(service: Service) -> None:
    record = edited(
        a_visit(),
        ("/patient/id", ABSENT),
        ("/administrations/0/dose/unit", "spoons"),
        ("/vitals/0/unheard_of", 1),
    )

    answer = service.send(record)

    problem = codec.decode(answer.data)
    found = {(one["level"], one["pointer"]) for one in problem["findings"]}
    assert answer.status_code == problem["status"] == 422
    assert answer.mimetype == "application/problem+json"
    assert problem["type"] == "urn:fhirbridge:error:E102"
    assert found >= {
        ("error", "/patient/id"),
        ("error", "/vitals/0/unheard_of"),
        ("held", "/administrations/0/dose"),
    }
    assert all(one["code"].startswith("R") and one["message"] for one in problem["findings"])


@pytest.mark.parametrize("body", BAD_JSON.values(), ids=BAD_JSON)
def test_i13_what_is_not_strict_json_is_a_400_and_stores_nothing(
    service: Service, body: bytes
) -> None:
    answer = service.send(body)

    assert answer.status_code == 400
    assert codec.decode(answer.data)["code"] == "E101"
    assert service.stored() == 0


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
def test_json_that_is_no_record_is_refused(service: Service, body: bytes) -> None:
    assert service.send(body).status_code == 422


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/xml",
        "application/fhir+json",
        "application/hl7-v2",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "text/json",
        "multipart/form-data; boundary=x",
        "application/xml, application/json",
    ],
)
def test_i14_only_json_is_taken(service: Service, content_type: str) -> None:
    answer = service.send(a_visit(), content_type=content_type)

    assert answer.status_code == 415
    assert "Content-Type: application/json" in codec.decode(answer.data)["hint"]
    assert service.stored() == 0


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
def test_i12_a_compressed_body_is_not_unpacked(service: Service, coding: str) -> None:
    answer = service.send(b"\x1f\x8b\x08", headers={"Content-Encoding": coding})

    assert answer.status_code == 415


def test_other_content_under_a_version_that_is_taken_is_a_conflict(service: Service) -> None:
    service.send(a_visit())

    answer = service.send(edited(a_visit(), ("/administrations/0/dose/value", 41)))

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (409, "E201")


def test_a_version_for_another_patient_is_a_conflict(service: Service) -> None:
    service.send(a_visit())

    answer = service.send(edited(a_visit(version=2), ("/patient/id", "somebody-else")))

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (409, "E202")


def test_an_address_that_is_none_is_a_404_for_a_known_caller(service: Service) -> None:
    answer = service.client(Role.ADMIN).get("/api/v1/nowhere")

    assert codec.decode(answer.data) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is nothing at this address",
        "instance": codec.decode(answer.data)["instance"],
    }


def test_a_method_that_is_not_taken_is_a_405_that_names_those_that_are(service: Service) -> None:
    answer = service.client(Role.ADMIN).delete(STATUS)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_an_unknown_record_is_a_404(service: Service) -> None:
    answer = service.client(Role.ADMIN).get(f"{SESSIONS}/none")

    assert (answer.status_code, codec.decode(answer.data)["code"]) == (404, "E914")


def test_a_fault_inside_tells_the_caller_nothing_but_where_to_ask(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_raw: bytes, *, actor: str) -> Any:
        raise RuntimeError(f"SELECT secret FROM /var/lib {actor}")

    monkeypatch.setattr(service.bridge, "accept", fail)

    answer = service.send(a_visit())

    problem = codec.decode(answer.data)
    failure, request = service.events()
    assert answer.status_code == 500
    assert "SELECT" not in answer.text + service.log.getvalue()
    assert "Traceback" not in answer.text + service.log.getvalue()
    assert problem["instance"] == f"urn:fhirbridge:request:{failure['request']}"
    assert failure["request"] == request["request"]
    assert failure["kind"] == "RuntimeError"
    assert failure["reason"].startswith("fhirbridge.web.api_records:")


@pytest.mark.parametrize(
    ("error", "status"), [(StoreError("schema 7 in /srv"), 500), (StoreBusyError("/srv"), 503)]
)
def test_s31_an_expected_failure_inside_says_no_more_than_others(
    service: Service, monkeypatch: pytest.MonkeyPatch, error: BridgeError, status: int
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(service.bridge, "next_due", fail)

    answer = service.client().get("/readyz")

    assert answer.status_code == status
    assert "/srv" not in answer.text
    assert service.events()[0]["code"] == codec.decode(answer.data)["code"] == error.code


def test_an_empty_token_is_told_apart_from_a_role_that_may_not(service: Service) -> None:
    stranger = service.client().get(STATUS)
    integrator = service.client(Role.INTEGRATOR).get(STATUS)

    assert "insufficient_scope" not in stranger.headers["WWW-Authenticate"]
    assert "insufficient_scope" in integrator.headers["WWW-Authenticate"]
