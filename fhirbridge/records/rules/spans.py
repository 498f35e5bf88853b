"""Spans: an end before its start cannot be true. The end is held; that it began is still known."""

from datetime import datetime

from fhirbridge.records.draft import Draft
from fhirbridge.records.source import SourceField

ENDS = (
    ("start", "end"),
    ("onset", "abatement"),
    ("onset", "resolved"),
    ("start", "due"),
    ("start", "discharged_at"),
    ("time", "resolved_at"),
    ("signed_at", "withdrawn_at"),
)


def check(draft: Draft, source: SourceField) -> None:
    """Hold each end that lies before its start."""
    for place in draft.walk(source):
        if place.field.kind != "object":
            continue
        for first, last in ENDS:
            start, end = place.value.get(first), place.value.get(last)
            if isinstance(start, str) and isinstance(end, str) and _before(end, start):
                draft.hold((*place.path, last), "R210", f"{last} is before {first}")


def _before(end: str, start: str) -> bool:
    if "T" in end and "T" in start:
        return datetime.fromisoformat(end) < datetime.fromisoformat(start)
    # Partial dates: 2019 is not before 2019-05.
    known = min(len(end), len(start))
    return end[:known] < start[:known]
