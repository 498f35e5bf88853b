"""What the EHR holds after an uncertain or refused request, compared with what we sent. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhirbridge.deliver.bundle import NOT_THERE, Known, Send
from fhirbridge.fhir import projection
from fhirbridge.fhir.references import is_id


class Found(StrEnum):
    """How the EHR's copy of one resource relates to ours."""

    OURS = "ours"  # equal to what we sent: adopt its version
    ABSENT = "absent"  # not there, and never was: a guarded create may go
    BASE = "base"  # something that we sent before: a guarded update may go
    EDITED = "edited"  # somebody else changed it: a person decides
    GONE = "gone"  # it was there and is not now: the deletion may be deliberate
    OTHER = "other"  # the EHR showed a resource that was not asked for
    UNREADABLE = "unreadable"  # the EHR did not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One resource as read back."""

    send: Send
    found: Found
    version: str = ""
    known: Known | None = None  # where it is BASE: which of our earlier versions


def readings(sends: Sequence[Send], answer: dict[str, Any]) -> tuple[Reading, ...]:
    """Compare a batch-response of GETs, by position, with what was sent."""
    entries = answer.get("entry")
    if not isinstance(entries, list) or len(entries) != len(sends):
        return tuple(Reading(send=send, found=Found.UNREADABLE) for send in sends)
    return tuple(_reading(send, entry) for send, entry in zip(sends, entries, strict=True))


def _reading(send: Send, entry: Any) -> Reading:
    if not isinstance(entry, dict):
        return Reading(send=send, found=Found.UNREADABLE)
    response = entry.get("response")
    status = str(response.get("status", ""))[:3] if isinstance(response, dict) else ""
    if status == "404":
        return Reading(send=send, found=Found.ABSENT if send.base == NOT_THERE else Found.GONE)
    if status == "410":
        return Reading(send=send, found=Found.GONE)
    theirs = entry.get("resource")
    if not status.startswith("2") or not isinstance(theirs, dict):
        return Reading(send=send, found=Found.UNREADABLE)
    return _compared(send, theirs)


def _compared(send: Send, theirs: dict[str, Any]) -> Reading:
    meta = theirs.get("meta")
    version = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    shown = theirs.get("resourceType"), theirs.get("id")
    if None in shown or "OperationOutcome" in shown:
        return Reading(send=send, found=Found.UNREADABLE)
    if shown != send.identity:
        return Reading(send=send, found=Found.OTHER)
    if not is_id(version):
        return Reading(send=send, found=Found.UNREADABLE)
    if projection.same(send.body, theirs):
        return Reading(send=send, found=Found.OURS, version=version)
    # Content decides, not the version alone: an EHR restored from a backup uses its ids again, and
    # a request of ours that nobody heard of may have landed since.
    for known in send.known:
        if projection.same(known.body, theirs):
            return Reading(send=send, found=Found.BASE, version=version, known=known)
    return Reading(send=send, found=Found.EDITED, version=version)
