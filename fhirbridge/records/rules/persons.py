"""One person may stand on several staff rows, one for each role: the provider number tells."""

from fhirbridge.records.draft import Draft
from fhirbridge.records.source import Json


def are_one(draft: Draft, first: Json, second: Json) -> bool:
    """Say whether two ids of staff rows name the same person."""
    if not first or not second:
        return False
    numbers = {row.get("id"): row.get("npi") for _, row in draft.rows("staff")}
    named = [numbers.get(one) or one for one in (first, second)]
    return bool(named[0] == named[1])
