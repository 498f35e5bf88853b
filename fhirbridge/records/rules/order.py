"""The rules in the order in which they run: what is taken out first is not judged twice."""

from fhirbridge.records.draft import Draft
from fhirbridge.records.rules import (
    discharge,
    doses,
    emptied,
    esketamine,
    events,
    identity,
    infusions,
    measures,
    needed,
    pressure,
    references,
    scores,
    screening,
    spans,
    timing,
    versions,
    vitals,
    waste,
    withheld,
)
from fhirbridge.records.rules.references import ENTERED_IN_ERROR
from fhirbridge.records.source import SourceField


def check(draft: Draft, source: SourceField) -> None:
    """Apply every rule. A record that takes its visit back is only asked who and which it is."""
    if draft.document.get("status") == ENTERED_IN_ERROR:
        return
    in_error = references.words_of_error(draft)
    taken_back = references.take_back(draft)
    references.check(draft, source, taken_back)
    needed.check(draft)
    versions.check(draft)
    # What cannot be true goes out before anything is worked out from it.
    measures.check(draft, source)
    vitals.hold_impossible(draft)
    scores.check(draft)
    spans.check(draft, source)
    identity.check(draft)
    waste.hold_own_witness(draft)
    screening.hold_contradictions(draft)
    emptied.check(draft)
    references.drop_held(draft, source)
    references.warn_of_patient_ids(draft, source)
    vitals.warn(draft)
    doses.check(draft)
    infusions.check(draft)
    esketamine.check(draft)
    timing.check(draft)
    pressure.check(draft)
    waste.warn(draft)
    screening.warn(draft)
    events.check(draft)
    discharge.check(draft)
    withheld.warn(draft, source)
    for path, row in in_error:
        draft.replace(path, row)
