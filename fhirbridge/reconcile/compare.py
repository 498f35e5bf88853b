"""What an EHR's copy of one resource has become. Pure: base, ours and theirs in, a verdict out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fhirbridge.fhir import projection
from fhirbridge.fhir.references import without_ids
from fhirbridge.matching import merges


class Shown(StrEnum):
    """What the EHR says when it is asked for one resource."""

    THERE = "there"
    ABSENT = "absent"  # it knows nothing of it
    REMOVED = "removed"  # it was there
    UNSAID = "unsaid"  # no usable answer


class Kind(StrEnum):
    """How the EHR's copy stands to ours."""

    EQUAL = "equal"  # what we sent last
    AHEAD = "ahead"  # a newer one of ours, under way or not heard of
    AWAITED = "awaited"  # theirs, and ours was chosen and is on its way
    ALTERED = "altered"  # what we sent, as this server keeps it
    OLDER = "older"  # an earlier one of ours, or of what it points to: a backup was restored
    MISSING = "missing"  # no trace of it: a backup was restored
    DELETED = "deleted"  # somebody removed it
    EDITED = "edited"  # somebody changed it
    MERGED = "merged"  # a patient who became part of another one, or was put out of use
    DUPLICATED = "duplicated"  # another resource has our identifier too
    LEFT = "left"  # it left its record, and its type has no status to say so
    UNSAID = "unsaid"  # the EHR did not say


LOST = frozenset({Kind.OLDER, Kind.MISSING})
FINDINGS = LOST | {Kind.DELETED, Kind.EDITED, Kind.MERGED, Kind.DUPLICATED, Kind.LEFT}
# A look at the copy alone cannot tell these, nor that they are over.
BEYOND_THE_COPY = frozenset({Kind.DUPLICATED, Kind.LEFT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """One resource as the EHR shows it."""

    shown: Shown
    version: str = ""
    updated: datetime | None = None  # by the EHR's clock
    body: dict[str, Any] | None = None

    @property
    def ehr_id(self) -> str:
        """Return the id under which it is there, or "" where nothing is."""
        return "" if self.body is None else str(self.body["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What we know of one resource: `base` is what we sent last, under the EHR's `version`.

    `given_up`: a person chose ours over theirs of `version`, and it is on its way. `named_there`:
    the EHR gives ids. `written_by`: when, by the EHR's clock, `version` was surely written if it is
    ours.
    """

    base: dict[str, Any]
    version: str
    given_up: bool = False
    named_there: bool = False
    written_by: datetime | None = None
    earlier: tuple[dict[str, Any], ...] = ()
    later: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of it. `elements` names what differs from what we sent, never a value."""

    kind: Kind
    elements: tuple[str, ...] = ()


def verdict(ours: Ours, theirs: Theirs) -> Verdict:
    """Say how the EHR's copy stands to ours."""
    if theirs.shown is Shown.ABSENT:
        return Verdict(kind=Kind.MISSING)
    if theirs.shown is Shown.REMOVED:
        waits = ours.given_up and theirs.version == ours.version
        return Verdict(kind=Kind.AWAITED if waits else Kind.DELETED)
    if theirs.shown is Shown.UNSAID or theirs.body is None:
        return Verdict(kind=Kind.UNSAID)
    return _of_a_copy(ours, theirs, theirs.body)


def _of_a_copy(ours: Ours, theirs: Theirs, body: dict[str, Any]) -> Verdict:
    # Content decides: an EHR that was restored from a backup uses its version numbers again.
    if projection.same(ours.base, body):
        return Verdict(kind=Kind.EQUAL)
    if any(projection.same(one, body) for one in ours.later):
        return Verdict(kind=Kind.AHEAD)
    if ours.given_up and theirs.version == ours.version:
        return Verdict(kind=Kind.AWAITED)
    elements = projection.differences(ours.base, body)
    if merges.replaced_by(body) or _out_of_use(ours.base, body):
        return Verdict(kind=Kind.MERGED, elements=elements)
    back = any(projection.same(one, body) for one in ours.earlier)
    if back and _went_back(ours, theirs):
        return Verdict(kind=Kind.OLDER, elements=elements)
    kind = Kind.EDITED
    if _is_own_write(ours, theirs):
        kind = Kind.OLDER if _points_elsewhere(ours, body) else Kind.ALTERED
    return Verdict(kind=kind, elements=elements)


def _went_back(ours: Ours, theirs: Theirs) -> bool:
    """Say whether the EHR counts as if it had never had our last version.

    With a higher number, somebody there took the earlier content up again: that is an edit.
    """
    if not (theirs.version.isdecimal() and ours.version.isdecimal()):
        return False
    return int(theirs.version) < int(ours.version)


def _points_elsewhere(ours: Ours, body: dict[str, Any]) -> bool:
    """Say whether only what it points to is another one: the EHR lost that, and named it anew."""
    return ours.named_there and projection.same(without_ids(ours.base), without_ids(body))


def _is_own_write(ours: Ours, theirs: Theirs) -> bool:
    """Say whether this is the very version that we wrote, as the server chose to keep it."""
    if ours.given_up or theirs.version != ours.version:
        return False
    if theirs.updated is None or ours.written_by is None:
        return False
    return theirs.updated <= ours.written_by


def _out_of_use(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Say whether this is a Patient whom the EHR made inactive: what is new has no place there."""
    is_patient = theirs.get("resourceType") == "Patient"
    return is_patient and theirs.get("active") is False and ours.get("active") is not False
