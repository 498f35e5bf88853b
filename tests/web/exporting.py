"""Begin an export of a facade, and read what it says and has."""

from typing import Any

from werkzeug.test import TestResponse

from fhirbridge.fhir import codec
from tests.web.fhir_reading import Reader

ASYNC = {"Prefer": "respond-async", "Accept": "application/fhir+json"}
LENIENT = {"Prefer": "respond-async, handling=lenient"}


def begun(reader: Reader, path: str = "$export", **headers: str) -> TestResponse:
    return reader.ask(path, headers={**ASYNC, **headers})


def posted(reader: Reader, path: str, *parameters: dict[str, Any], **headers: str) -> TestResponse:
    body = codec.encode({"resourceType": "Parameters", "parameter": list(parameters)})
    media = "application/fhir+json"
    sent = {**ASYNC, **headers}
    return reader.client.post(f"/fhir/{path}", data=body, content_type=media, headers=sent)


def status_of(answer: TestResponse) -> str:
    assert answer.status_code == 202, answer.data
    return answer.headers["Content-Location"]


def manifest(reader: Reader, path: str = "$export", **headers: str) -> dict[str, Any]:
    return reader.get(status_of(begun(reader, path, **headers)))


def exported(reader: Reader, said: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for one in said["output"]:
        answer = reader.ask(one["url"])
        assert answer.status_code == 200
        assert answer.mimetype == "application/fhir+ndjson"
        lines = [codec.decode(line) for line in answer.data.splitlines()]
        assert {line["resourceType"] for line in lines} == {one["type"]}
        assert len(lines) == one["count"]
        found += lines
    return found


def named(resources: list[dict[str, Any]]) -> set[str]:
    return {f"{one['resourceType']}/{one['id']}" for one in resources}
