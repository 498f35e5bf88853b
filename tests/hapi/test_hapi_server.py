"""The HAPI server of the tests is the real thing, and answers as our delivery relies on."""

import pytest
import requests

from fhirbridge.fhir import codec

pytestmark = pytest.mark.hapi

FHIR_JSON = {"Content-Type": "application/fhir+json"}
FIRST_TIME_ONLY = {**FHIR_JSON, "If-Match": 'W/"0"'}
SECONDS = 60


def observation(own_id: str, value: str) -> bytes:
    return (
        '{"resourceType":"Observation","id":"' + own_id + '","status":"final",'
        '"code":{"text":"weight"},"valueQuantity":{"value":' + value + "}}"
    ).encode()


def put(url: str, body: bytes, headers: dict[str, str]) -> requests.Response:
    return requests.put(url, data=body, headers=headers, timeout=SECONDS)


def test_the_server_speaks_fhir_r4(hapi: str) -> None:
    answer = requests.get(f"{hapi}/metadata", timeout=SECONDS)

    statement = codec.decode(answer.content)
    assert statement["fhirVersion"] == "4.0.1"
    assert "HAPI" in statement["software"]["name"]


def test_a_create_that_demands_version_zero_happens_once(hapi: str) -> None:
    url = f"{hapi}/Observation/made-once"

    first = put(url, observation("made-once", "1"), FIRST_TIME_ONLY)
    second = put(url, observation("made-once", "2"), FIRST_TIME_ONLY)

    assert first.status_code == 201
    assert second.status_code in {409, 412}
    kept = codec.decode(requests.get(url, timeout=SECONDS).content)
    assert kept["valueQuantity"]["value"] == 1


def test_an_update_from_a_stale_version_is_refused(hapi: str) -> None:
    url = f"{hapi}/Observation/moved-on"
    put(url, observation("moved-on", "1"), FHIR_JSON)
    put(url, observation("moved-on", "2"), FHIR_JSON)

    answer = put(url, observation("moved-on", "3"), {**FHIR_JSON, "If-Match": 'W/"1"'})

    assert answer.status_code in {409, 412}


def test_the_same_content_again_makes_no_new_version(hapi: str) -> None:
    url = f"{hapi}/Observation/sent-twice"
    put(url, observation("sent-twice", "72.50"), FHIR_JSON)

    again = put(url, observation("sent-twice", "72.50"), FHIR_JSON)

    assert again.headers["ETag"] == 'W/"1"'


def test_the_zero_at_the_end_of_a_decimal_is_kept(hapi: str) -> None:
    url = f"{hapi}/Observation/exact"

    put(url, observation("exact", "72.50"), FHIR_JSON)

    assert b"72.50" in requests.get(url, timeout=SECONDS).content


def test_the_server_itself_checks_a_resource_when_asked(hapi: str) -> None:
    without_status = b'{"resourceType":"Observation","code":{"text":"weight"}}'

    answer = requests.post(
        f"{hapi}/Observation/$validate", data=without_status, headers=FHIR_JSON, timeout=SECONDS
    )

    assert b"Observation.status: minimum required = 1" in answer.content
