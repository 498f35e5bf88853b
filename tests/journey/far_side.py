"""Ask an EHR what it really holds, past fhirbridge."""

from typing import Any

import requests

from fhirbridge.fhir import codec

SECONDS = 60
# HAPI keeps counts and searches for a minute; these ask it to look again.
FRESH = {"Cache-Control": "no-cache", "Accept": "application/fhir+json"}


def read(base_url: str, reference: str) -> dict[str, Any]:
    answer = requests.get(f"{base_url}/{reference}", headers=FRESH, timeout=SECONDS)
    assert answer.status_code == 200, (reference, answer.status_code)
    return as_object(answer.content)


def versions(base_url: str, reference: str) -> list[str]:
    """Return the version ids of one resource, the newest first."""
    return [one["meta"]["versionId"] for one in history(base_url, reference)]


def history(base_url: str, reference: str) -> list[dict[str, Any]]:
    """Return every version of one resource, the newest first."""
    query = {"_offset": "0", "_count": "200"}
    answer = requests.get(
        f"{base_url}/{reference}/_history", params=query, headers=FRESH, timeout=SECONDS
    )
    assert answer.status_code == 200, (reference, answer.status_code)
    entries = as_object(answer.content).get("entry", [])
    return [entry["resource"] for entry in entries]


def change(base_url: str, resource: dict[str, Any]) -> None:
    """Edit a resource as somebody at the EHR would."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    headers = {"Content-Type": "application/fhir+json"}
    answer = requests.put(
        f"{base_url}/{reference}", data=codec.encode(resource), headers=headers, timeout=SECONDS
    )
    assert answer.status_code == 200, answer.status_code


def validation_errors(base_url: str, resource: dict[str, Any]) -> list[str]:
    """Ask the server's own $validate."""
    answer = requests.post(
        f"{base_url}/{resource['resourceType']}/$validate",
        data=codec.encode(resource),
        headers={"Content-Type": "application/fhir+json"},
        timeout=SECONDS,
    )
    issues = as_object(answer.content).get("issue", [])
    return [i.get("diagnostics", "") for i in issues if i.get("severity") in ("error", "fatal")]


def as_object(raw: bytes) -> dict[str, Any]:
    value = codec.decode(raw)
    assert isinstance(value, dict)
    return value


def delete(base_url: str, reference: str) -> None:
    """Delete a resource as somebody at the EHR would."""
    answer = requests.delete(f"{base_url}/{reference}", timeout=SECONDS)
    assert answer.status_code in (200, 204), answer.status_code


def search(base_url: str, kind: str, **query: str) -> list[dict[str, Any]]:
    """Return the first page of a search."""
    answer = requests.get(f"{base_url}/{kind}", params=query, headers=FRESH, timeout=SECONDS)
    assert answer.status_code == 200, answer.status_code
    return [entry["resource"] for entry in as_object(answer.content).get("entry", [])]
