"""A system that signs what it sends."""

from datetime import datetime
from typing import Any

from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from tests.web.service import JSON, Service

HOOK = "/webhooks/v1/sessions"
WHEN = "2026-03-03T09:00:00Z"


def raw_of(content: Any) -> bytes:
    return content if isinstance(content, bytes) else codec.encode(content)


def an_event(kind_of_it: str, **data: Any) -> dict[str, Any]:
    return {"type": kind_of_it, "timestamp": WHEN, "data": data}


class Sender:
    """One source of a service. `at`: its clock, if it is not the machine's."""

    def __init__(self, service: Service, name: str = "clinic") -> None:
        self.service = service
        self.secret = service.bridge.add_source(name, None, actor="test")
        self.at: datetime | None = None

    def headers(self, body: bytes, named: str) -> dict[str, str]:
        at = self.at or SystemClock().now()
        return {
            "webhook-id": named,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(named, at, body.decode()),
        }

    def send(self, content: Any, named: str = "msg_1", *, media: str = JSON) -> TestResponse:
        body = raw_of(content)
        return self.post(body, self.headers(body, named), media=media)

    def post(self, body: bytes, headers: dict[str, str], *, media: str = JSON) -> TestResponse:
        client = self.service.client()
        return client.post(HOOK, data=body, content_type=media, headers=headers)


def items(answer: TestResponse) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = codec.decode(answer.data)["items"]
    return found


def states(answer: TestResponse) -> list[str]:
    return [one["state"] for one in items(answer)]
