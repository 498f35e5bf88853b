"""What the EHR holds after an uncertain or refused request, compared with what we sent. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhirbridge.deliver.bundle import NOT_THERE, Known, Send
from fhirbridge.fhir import left_out, projection
from fhirbridge.fhir.names import Names, key_of
from fhirbridge.fhir.references import is_id


class Found(StrEnum):
    """How the EHR's copy of one resource relates to ours."""

    OURS = "ours"  # equal to what we sent: adopt its version
    ABSENT = "absent"  # not there, and never was: a guarded create may go
    BASE = "base"  # something that we sent before: a guarded update may go
    EDITED = "edited"  # somebody else changed it: a person decides
    GONE = "gone"  # it was there and is not now: the deletion may be deliberate
    MISSING = (
        "missing"  # it was there, and is called unknown: a gateway may say so of what is there
    )
    SEVERAL = "several"  # more than one bears our key: a person takes one away
    OTHER = "other"  # the EHR showed a resource that was not asked for
    UNREADABLE = "unreadable"  # the EHR did not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One resource as read back."""

    send: Send
    found: Found
    version: str = ""
    known: Known | None = None  # where it is BASE: which of our earlier versions
    ehr_id: str = ""  # where it is OURS or BASE; GONE too, where it was heard of only now

    @property
    def wrote_over(self) -> bool:
        """Say whether the EHR counts versions between the one that we knew and ours."""
        base, now = self.send.base, self.version
        known = self.found is Found.OURS and base != NOT_THERE
        return known and base.isdecimal() and now.isdecimal() and int(now) > int(base) + 1


def readings(sends: Sequence[Send], answer: dict[str, Any]) -> tuple[Reading, ...]:
    """Compare a batch-response of reads, by position, with what was sent."""
    entries = answer.get("entry")
    if not isinstance(entries, list) or len(entries) != len(sends):
        return tuple(Reading(send=send, found=Found.UNREADABLE) for send in sends)
    return tuple(_reading(send, entry) for send, entry in zip(sends, entries, strict=True))


def _reading(send: Send, entry: Any) -> Reading:
    if not isinstance(entry, dict):
        return Reading(send=send, found=Found.UNREADABLE)
    response = entry.get("response")
    response = response if isinstance(response, dict) else {}
    status = str(response.get("status", ""))[:3]
    if status == "404":
        return Reading(send=send, found=Found.ABSENT if send.base == NOT_THERE else Found.MISSING)
    if status == "410":
        return _gone(send, str(response.get("location", "")))
    if status == "412":
        return Reading(send=send, found=Found.SEVERAL)
    theirs = entry.get("resource")
    if not status.startswith("2") or not isinstance(theirs, dict):
        return Reading(send=send, found=Found.UNREADABLE)
    return _compared(send, theirs)


def _gone(send: Send, location: str) -> Reading:
    """Say that it is not there any more; and where it was, of what has no other name yet."""
    place, _, version = location.partition("/_history/")
    own = place.removeprefix(f"{send.identity.type}/")
    if send.ehr_id or not (is_id(own) and is_id(version)):
        return Reading(send=send, found=Found.GONE)
    return Reading(send=send, found=Found.GONE, version=version, ehr_id=own)


def _compared(send: Send, theirs: dict[str, Any]) -> Reading:
    meta = theirs.get("meta")
    version = str(meta.get("versionId", "")) if isinstance(meta, dict) else ""
    own = str(theirs.get("id") or "")
    if (unlike := _unlike(send, theirs, own, version)) is not None:
        return Reading(send=send, found=unlike)
    if _is_there(send, send.body, send.there, theirs):
        return Reading(send=send, found=Found.OURS, version=version, ehr_id=own)
    # Content decides, not the version alone: an EHR restored from a backup uses its ids again, and
    # a request of ours that nobody heard of may have landed since.
    for known in send.known:
        if _is_there(send, known.body, known.there or send.there, theirs):
            return Reading(send=send, found=Found.BASE, version=version, known=known, ehr_id=own)
    return Reading(send=send, found=Found.EDITED, version=version)


def _unlike(send: Send, theirs: dict[str, Any], own: str, version: str) -> Found | None:
    """Say why what was shown cannot be compared with ours; None where it can."""
    kind = theirs.get("resourceType")
    if not own or kind in (None, "OperationOutcome"):
        return Found.UNREADABLE
    if (kind, own) != (send.identity.type, send.ehr_id or own):
        return Found.OTHER
    if not (is_id(own) and is_id(version)):
        return Found.UNREADABLE
    given_away = send.there.ids is not None and not key_of(send.body).is_of(theirs)
    return Found.GONE if given_away else None  # the EHR gave its id to something else


def _is_there(send: Send, ours: dict[str, Any], names: Names, theirs: dict[str, Any]) -> bool:
    # Theirs may still point to a patient whom the EHR has made part of another one since.
    named = send.there.read(theirs)
    written = {**names.written(ours), "id": theirs["id"]}
    if projection.same(written, named):
        return True
    # It may have gone before, or after, what it points to was sent there at all.
    once = send.there.once
    return bool(once) and projection.same(left_out.bare(written, once), left_out.bare(named, once))
