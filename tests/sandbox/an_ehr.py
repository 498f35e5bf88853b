"""A sandbox model for tests: its own clock, JSON in and out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.sandbox.model import SandboxEhr
from fhirbridge.sandbox.storage import MemoryStorage, Storage

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
JSON = {"Content-Type": "application/fhir+json"}


class TickingClock:
    """A clock that is a second later each time that it is read."""

    def __init__(self) -> None:
        self._now = START

    def now(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    def sleep(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    status: int
    headers: Mapping[str, str]
    body: Any


class AnEhr:
    """A SandboxEhr that is spoken to in objects."""

    def __init__(
        self,
        storage: Storage | None = None,
        stale_status: HTTPStatus = HTTPStatus.CONFLICT,
        *,
        assigns_ids: bool = False,
        ignores_if_match: bool = False,
    ) -> None:
        self.model = SandboxEhr(
            storage=storage or MemoryStorage(),
            clock=TickingClock(),
            stale_status=stale_status,
            assigns_ids=assigns_ids,
            ignores_if_match=ignores_if_match,
        )

    def send(self, method: str, target: str, body: object = None, **headers: str) -> Said:
        raw = b"" if body is None else codec.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, answered, content = self.model.handle(method, target, {**JSON, **named}, raw)
        return Said(
            status=status, headers=answered, body=codec.decode(content) if content else None
        )

    def put(self, resource: dict[str, Any], **headers: str) -> Said:
        return self.send(
            "PUT", f"/{resource['resourceType']}/{resource['id']}", resource, **headers
        )

    def run(self, kind: str, *entries: dict[str, Any]) -> Said:
        return self.send(
            "POST", "/", {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        )


def patient(resource_id: str = "a", **more: object) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": resource_id, **more}


def observation(resource_id: str = "o", subject: str = "Patient/a") -> dict[str, Any]:
    return {"resourceType": "Observation", "id": resource_id, "subject": {"reference": subject}}


def put_entry(resource: dict[str, Any], **conditions: str) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url, **conditions}}
