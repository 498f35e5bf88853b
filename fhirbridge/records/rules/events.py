"""Events and visits that do not fit what was given."""

from fhirbridge.records.draft import Draft, rows_in
from fhirbridge.records.rules import given

DID_NOT_HAPPEN = ("planned", "cancelled", "no-show")


def check(draft: Draft) -> None:
    """Warn of a rescue drug that no dose names, and of doses in a visit that did not take place."""
    for path, event in draft.rows("adverse_events"):
        for place, action in rows_in(event, "actions", path):
            if action.get("kind") == "drug-given" and "administration" not in action:
                text = "a drug was given for this event; name its administration"
                draft.warn(place, "R331", text)
    if draft.part("visit").get("status") in DID_NOT_HAPPEN:
        for path, row in draft.rows("administrations"):
            if row.get("status") in given.GIVEN and row.get("setting") != "home":
                text = "this dose was given, and the visit did not take place; check the status"
                draft.warn(path, "R332", text)
