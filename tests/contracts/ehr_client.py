"""A thin client for contract tests: says what was asked in FHIR's words, hides nothing."""

import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import requests

from fhirbridge.fhir import codec

SYSTEM = "urn:example:fhirbridge:contract"
TIMEOUT_SECONDS = 60


class EhrClient:
    """One connection to a FHIR server; every name that it makes is new."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send to a path below the base or to a full URL; a body is JSON unless it is bytes."""
        url = path if path.startswith("http") else f"{self.base}/{path.lstrip('/')}"
        return self._session.request(
            method,
            url if path else self.base,
            data=body if isinstance(body, bytes | None) else codec.encode(body),
            headers={
                "Accept": "application/fhir+json",
                "Content-Type": "application/fhir+json",
                # HAPI answers an equal search from a cache for a minute unless told not to.
                "Cache-Control": "no-cache",
                **(headers or {}),
            },
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.send("GET", path, headers=_dashed(headers))

    def put(self, resource: dict[str, Any], **headers: str) -> requests.Response:
        path = f"{resource['resourceType']}/{resource['id']}"
        return self.send("PUT", path, resource, _dashed(headers))

    def post(self, resource: dict[str, Any], **headers: str) -> requests.Response:
        return self.send("POST", resource["resourceType"], resource, _dashed(headers))

    def delete(self, path: str) -> requests.Response:
        return self.send("DELETE", path)

    def run(self, kind: str, *entries: dict[str, Any], **headers: str) -> requests.Response:
        """Post a transaction or batch to the base."""
        bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        return self.send("POST", "", bundle, _dashed(headers))

    def search(self, path: str) -> list[str]:
        """Return the ids found, in order, following the next links."""
        return [resource["id"] for resource in self.resources(path)]

    def resources(self, path: str) -> list[dict[str, Any]]:
        """Return what a search or history found, following the next links."""
        found = []
        while path:
            bundle = json(self.get(path))
            found += [entry.get("resource", {}) for entry in bundle.get("entry", [])]
            path = link(bundle, "next")
        return found

    def versions(self, path: str) -> list[str]:
        """Return the version numbers in an instance's history, newest first."""
        # HAPI cuts a history to a count that it keeps for a minute; with _since it does not.
        bundle = json(self.get(f"{path}/_history?_since=2000-01-01T00:00:00Z"))
        return [entry["response"]["etag"].strip('W/"') for entry in bundle["entry"]]


def json(response: requests.Response) -> Any:
    """Return the body with exact decimals."""
    return codec.decode(response.content)


def link(bundle: dict[str, Any], relation: str) -> str:
    """Return the URL of a Bundle's link, or nothing."""
    links = {each["relation"]: each["url"] for each in bundle.get("link", [])}
    return str(links.get(relation, ""))


def new(prefix: str = "c") -> str:
    """Return an id or value that no other test has."""
    return f"{prefix}-{secrets.token_hex(8)}"


def a_patient(resource_id: str | None = None, **more: object) -> dict[str, Any]:
    """Return a Patient whose identifier's value is its id."""
    resource_id = resource_id or new("p")
    return {
        "resourceType": "Patient",
        "id": resource_id,
        "identifier": [{"system": SYSTEM, "value": resource_id}],
        "gender": "unknown",
        **more,
    }


def an_observation(patient: str, resource_id: str | None = None, **more: object) -> dict[str, Any]:
    """Return an Observation about `Patient/…`."""
    return {
        "resourceType": "Observation",
        "id": resource_id or new("o"),
        "status": "final",
        "code": {"text": "contract"},
        "subject": {"reference": patient},
        **more,
    }


def without_id(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "id"}


def entry(
    method: str, url: str, resource: dict[str, Any] | None = None, **conditions: str
) -> dict[str, Any]:
    """Return a Bundle entry; `full_url` is its fullUrl, the rest goes into the request."""
    full_url = conditions.pop("full_url", "")
    made: dict[str, Any] = {"request": {"method": method, "url": url, **conditions}}
    if resource is not None:
        made["resource"] = resource
    return {"fullUrl": full_url, **made} if full_url else made


def put_entry(resource: dict[str, Any], **conditions: str) -> dict[str, Any]:
    return entry("PUT", f"{resource['resourceType']}/{resource['id']}", resource, **conditions)


def _dashed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
