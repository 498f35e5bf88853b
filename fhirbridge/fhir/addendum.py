"""A note that stands in for an earlier one, where an EHR takes no update. Pure."""

import re
from typing import Any

from fhirbridge.fhir.references import ID

# R4 DocumentReference.relatesTo.code: those that say what becomes of the earlier note. The reader
# goes by the new one alone (replaces), or by both (appends).
CODES = ("replaces", "appends")


def addendum(note: dict[str, Any], *, replaces: str, code: str) -> dict[str, Any]:
    """Return a copy of a DocumentReference that names the note it follows.

    `replaces` is the id which the EHR gave that note, `code` one of CODES. The copy is another
    resource: its id and identifier are the caller's to give, before an If-None-Exist finds the old.
    Raises ValueError where it is no DocumentReference, or `replaces` or `code` cannot be that.
    """
    if note.get("resourceType") != "DocumentReference":
        raise ValueError("only a DocumentReference can follow a note")
    if code not in CODES:
        raise ValueError(f"a note follows another by one of {', '.join(CODES)}")
    if not re.fullmatch(ID, replaces):
        raise ValueError("the earlier note is named by its id alone")
    target = {"reference": f"DocumentReference/{replaces}"}
    others = [one for one in note.get("relatesTo", []) if one["target"] != target]
    return {**note, "relatesTo": [*others, {"code": code, "target": target}]}
