"""Bundles of one chart: as a transaction, as a collection, and as a document of each session. Pure.

Each holds all that it points to. The same resources give the same bytes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references

Body = dict[str, Any]
DOCUMENT_TYPE = {
    "coding": [
        {
            "system": "http://loinc.org",
            "code": "34133-9",
            "display": "Summary of episode note",
        }
    ]
}
TITLE = "Resources of one session, as they were sent"


class OfSession(Protocol):
    """A resource with the row that says which session it is of."""

    @property
    def row(self) -> Any:
        """Return the row: `session_key`, `lane`."""

    @property
    def body(self) -> Body:
        """Return the resource."""


def transaction(bodies: Sequence[Body], base: str) -> Body:
    """Return a Bundle that puts each resource under its id, into a server that lacks them."""
    entries = [
        {
            **_entry(one, base),
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in bodies
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def collection(bodies: Sequence[Body], base: str) -> Body:
    """Return a Bundle that is no more than a list."""
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [_entry(one, base) for one in bodies],
    }


def documents(chart: Sequence[OfSession], base: str) -> Iterator[Body]:
    """Yield a document for each session that has a visit; a session without one has no subject."""
    known = {_name(one.body): one.body for one in chart}
    sessions: dict[str, list[Body]] = {}
    for one in chart:
        sessions.setdefault(one.row.session_key, []).append(one.body)
    for key in sorted(sessions):
        visits = [one for one in sessions[key] if one["resourceType"] == "Encounter"]
        if visits:
            yield _document(key, visits[0], sessions[key], known, base)


def _document(key: str, visit: Body, own: list[Body], known: dict[str, Body], base: str) -> Body:
    held = _with_named(own, known)
    composed = _composition(key, visit, held)
    everything = [composed, *held]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{_uuid(everything)}"},
        "type": "document",
        "timestamp": composed["date"],
        "entry": [_entry(one, base) for one in everything],
    }


def _composition(key: str, visit: Body, held: list[Body]) -> Body:
    period = visit.get("period", {})
    author = visit.get("serviceProvider") or visit["subject"]
    kinds: dict[str, list[Body]] = {}
    for one in held:
        kinds.setdefault(one["resourceType"], []).append(one)
    return {
        "resourceType": "Composition",
        "id": hashlib.sha256(f"composition:{key}".encode()).hexdigest()[:40],
        "status": "final",
        "type": DOCUMENT_TYPE,
        "subject": {"reference": visit["subject"]["reference"]},
        "encounter": {"reference": _name(visit)},
        "date": period.get("end") or period.get("start"),
        "author": [{"reference": author["reference"]}],
        "title": TITLE,
        "section": [
            {"title": kind, "entry": [{"reference": _name(one)} for one in kinds[kind]]}
            for kind in sorted(kinds)
        ],
    }


def _with_named(own: list[Body], known: dict[str, Body]) -> list[Body]:
    """Return the resources with all of the chart that they point to, each once."""
    found = {_name(one): one for one in own}
    following = list(own)
    while following:
        named = literal_references(following.pop())
        for name in sorted(f"{kind}/{an_id}" for kind, an_id in named):
            if name in known and name not in found:
                found[name] = known[name]
                following.append(known[name])
    return [found[name] for name in sorted(found)]


def _entry(body: Body, base: str) -> dict[str, Any]:
    return {"fullUrl": f"{base}/{_name(body)}", "resource": body}


def _name(body: Body) -> str:
    return f"{body['resourceType']}/{body['id']}"


def _uuid(bodies: list[Body]) -> str:
    """Name a document by its content: a UUID of the eighth version, whose bits are ours."""
    raw = bytearray(hashlib.sha256(codec.canonical(bodies)).digest()[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    text = raw.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
