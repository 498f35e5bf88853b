"""What is sent: a thin message, and its signature by Standard Webhooks. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from fhirbridge.access import signature
from fhirbridge.events.log import Kind
from fhirbridge.fhir import codec

TEST = "webhook.test"
MOST_KEPT = 1000  # bytes of an answer
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def of_event(event: Mapping[str, Any]) -> bytes:
    """Return the message of an event as the log of events shows it: ids, codes and counts."""
    names = ("id", "sequence", "patient", "patient_sequence", "destination", "subkind", "detail")
    data = {name: event[name] for name in names}
    told = {**data, "next": where_more_is(event)}
    return codec.canonical({"type": event["kind"], "timestamp": event["at"], "data": told})


def of_test(endpoint: str, message: str, at: str) -> bytes:
    """Return the message that a person sends to try an endpoint."""
    data = {"id": message, "endpoint": endpoint}
    return codec.canonical({"type": TEST, "timestamp": at, "data": data})


def where_more_is(event: Mapping[str, Any]) -> str:
    """Return the path of our API under which whoever may see more finds it."""
    if event["detail"].get("record"):
        return f"/api/v1/sessions/{event['detail']['record']}"
    if event["kind"] == Kind.EHR_CHANGED and event["patient"]:
        return f"/api/v1/patients/{event['patient']}/ehr"
    if event["kind"] == Kind.EXPORT_READY:
        return f"/fhir/$export-status/{event['detail']['export']}"
    return "/api/v1/status"


def headers(message: str, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return what is sent with a body: signed by each secret that is good, the newest first."""
    text = body.decode()
    return {
        "Content-Type": "application/json",
        signature.ID: message,
        signature.TIMESTAMP: str(int(at.timestamp())),
        signature.SIGNATURE: " ".join(Webhook(one).sign(message, at, text) for one in secrets),
    }


def base_string(message: str, signed_at: int, body: str) -> str:
    """Return what was signed: the text over which a receiver computes the same HMAC-SHA256."""
    return f"{message}.{signed_at}.{body}"


def scrubbed(answer: bytes) -> str:
    """Return the beginning of an answer without what a terminal would obey or not show."""
    text = answer[:MOST_KEPT].decode("utf-8", "replace")
    return "".join(" " if unicodedata.category(one) in _HIDDEN else one for one in text)
