"""Sends and entries for tables."""

from typing import Any

from fhirbridge.deliver.bundle import NOT_THERE, Known, Send
from fhirbridge.outbox.contents import Identity

PULSE = {"resourceType": "Observation", "id": "o-1", "status": "final"}


def a_send(
    base: str = NOT_THERE,
    *,
    identity: tuple[str, str] = ("Observation", "o-1"),
    known: tuple[dict[str, Any], ...] = (),
    position: int = 0,
    **body: Any,
) -> Send:
    kind, own = identity
    return Send(
        position=position,
        identity=Identity(kind, own),
        resource=f"row-{position}",
        digest=f"digest-{position}",
        body={"resourceType": kind, "id": own, **body},
        base=base,
        known=tuple(
            Known(resource=f"row-{n}", digest=f"digest-{n}", sequence=n, body=one)
            for n, one in enumerate(known, start=1)
        ),
    )


def an_entry(status: str = "200 OK", **response: Any) -> dict[str, Any]:
    return {"response": {"status": status, **response}}


def a_copy(version: Any = "3", **body: Any) -> dict[str, Any]:
    resource = {"resourceType": "Observation", "id": "o-1", **body, "meta": {"versionId": version}}
    return {**an_entry(), "resource": resource}
