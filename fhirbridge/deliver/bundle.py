"""Build the transaction that a delivery is, and read its answer entry by entry. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.fhir.references import is_id, literal_references
from fhirbridge.outbox.contents import Identity

NOT_THERE = "0"  # If-Match W/"0": only where the EHR has no version of it, measured on HAPI 8.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A version of ours that the EHR has or may have: which one, and what it says."""

    resource: str
    digest: str
    sequence: int  # of the delivery that carried it
    body: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One resource on its way: `base` is the version the EHR must have, NOT_THERE to create."""

    position: int
    identity: Identity
    resource: str
    digest: str
    body: dict[str, Any]
    base: str
    retracts: bool = False
    known: tuple[Known, ...] = ()  # what it may still have of ours, the ledger's version first


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What the EHR says it did with one resource."""

    identity: Identity
    version: str
    created: bool


def transaction(sends: Sequence[Send]) -> bytes:
    """Write the transaction Bundle: PUT by our own id, each entry guarded by ifMatch."""
    entries = [
        {
            "resource": send.body,
            "request": {
                "method": "PUT",
                "url": f"{send.identity.type}/{send.identity.id}",
                "ifMatch": f'W/"{send.base}"',
            },
        }
        for send in sends
    ]
    return codec.encode({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def landed(sends: Sequence[Send], answer: dict[str, Any]) -> tuple[Landed, ...] | None:
    """Read a transaction's answer by position and id; None where it leaves an entry out."""
    entries = answer.get("entry")
    if not isinstance(entries, list) or len(entries) != len(sends):
        return None
    found = [_landed(send, entry) for send, entry in zip(sends, entries, strict=True)]
    return tuple(one for one in found if one is not None) if None not in found else None


def _landed(send: Send, entry: Any) -> Landed | None:
    """Success is a 2xx for the type and id that were sent, with a version."""
    response = entry.get("response") if isinstance(entry, dict) else None
    if not isinstance(response, dict):
        return None
    status = str(response.get("status", ""))[:3]
    version = _version(send, str(response.get("location", "")), str(response.get("etag", "")))
    if status not in ("200", "201") or not version:
        return None
    return Landed(identity=send.identity, version=version, created=status == "201")


def _version(send: Send, location: str, etag: str) -> str:
    """Take the version from `[base/]Type/id/_history/n`; another type or id there is no success."""
    path, separator, version = location.rpartition("/_history/")
    expected = f"{send.identity.type}/{send.identity.id}"
    if separator and (path == expected or path.endswith("/" + expected)):
        return version if is_id(version) else ""
    tag = etag.removeprefix("W/").strip('"')
    return tag if not location and is_id(tag) else ""


def foreign_patients(sends: Sequence[Send], subject: str) -> bool:
    """Say whether anything in these bodies is, or points to, another patient than `subject`.

    An empty subject is nobody: then any patient is another one.
    """
    for send in sends:
        if send.identity.type == "Patient" and send.identity.id != subject:
            return True
        if any(
            kind == "Patient" and identity != subject
            for kind, identity in literal_references(send.body)
        ):
            return True
    return False
