"""The rules in the order in which they run: what is taken out first is not judged twice."""

from fhirbridge.records.draft import Draft
from fhirbridge.records.rules import (
    doses,
    emptied,
    esketamine,
    identity,
    infusions,
    measures,
    needed,
    references,
    scores,
    spans,
    timing,
    vitals,
)
from fhirbridge.records.source import SourceField

ENTERED_IN_ERROR = "entered-in-error"


def check(draft: Draft, source: SourceField) -> None:
    """Apply every rule. A record that takes its visit back is only asked who and which it is."""
    if draft.document.get("status") == ENTERED_IN_ERROR:
        return
    taken_back = references.take_back(draft)
    references.check(draft, source, taken_back)
    needed.check(draft)
    # What cannot be true goes out before anything is worked out from it.
    measures.check(draft, source)
    vitals.hold_impossible(draft)
    scores.check(draft)
    spans.check(draft, source)
    identity.check(draft)
    emptied.check(draft)
    references.drop_held(draft, source)
    vitals.warn(draft)
    doses.check(draft)
    infusions.check(draft)
    esketamine.check(draft)
    timing.check(draft)
