"""The stock: two people, counts that agree with the books, losses that were reported."""

from typing import Any

from fhirbridge.records import units
from fhirbridge.records.draft import Draft, Path
from fhirbridge.records.moments import at
from fhirbridge.records.rules import persons

MOVED = ("receipts", "returns", "counts", "losses")
NEEDS_WITNESS = ("returns", "losses")
GONE = {"returns": ("returned",), "losses": ("lost", "empty", "wasted")}


def hold_own_witness(draft: Draft) -> None:
    """Hold a witness who is the one who acted."""
    for part in MOVED:
        for path, row in draft.rows(part):
            if persons.are_one(draft, row.get("witness"), row.get("by")):
                text = "witness is the one who did it; name another person who saw it"
                draft.hold((*path, "witness"), "R217", text)


def warn(draft: Draft) -> None:
    """Warn of what has no witness, does not add up, or was not reported."""
    for part in NEEDS_WITNESS:
        for path, row in draft.rows(part):
            if "witness" not in row:
                draft.warn(path, "R323", "this has no witness")
    for path, row in draft.rows("counts"):
        _warn_of_difference(draft, path, row)
    for path, row in draft.rows("losses"):
        if row.get("kind") == "theft" and "reported_at" not in row:
            draft.warn(path, "R342", "a theft is written down and no reported_at says who was told")
    _warn_of_vials(draft)
    _warn_of_future(draft)


def _warn_of_difference(draft: Draft, path: Path, row: dict[str, Any]) -> None:
    found, expected = _amount(row.get("found")), _amount(row.get("expected"))
    named = {loss.get("counted") for _, loss in draft.rows("losses")}
    if found and expected and found[0] == expected[0] and found != expected:
        text = "the count is not what the books say, and no loss names this count"
        if row.get("id") not in named:
            draft.warn((*path, "found"), "R341", text)


def _amount(measure: object) -> tuple[str, Any] | None:
    """Return what an amount comes to: the kind of unit, or the counted thing, and how much."""
    for dimension in ("mass", "volume"):
        value = units.measured(measure, dimension)
        if value is not None:
            return dimension, value
    if isinstance(measure, dict) and {"value", "unit"} <= measure.keys():
        return measure["unit"], measure["value"]
    return None


def _warn_of_vials(draft: Draft) -> None:
    """Warn of a vial that was returned or lost and still stands in another state."""
    states = {row.get("id"): row.get("state") for _, row in draft.rows("vials")}
    for part, gone in GONE.items():
        for path, row in draft.rows(part):
            named = [vial for vial in row.get("vials", ()) if vial is not None]
            if any(states.get(vial) not in gone for vial in named):
                text = "a vial named here stands in another state in vials; mend one of them"
                draft.warn((*path, "vials"), "R343", text)


def _warn_of_future(draft: Draft) -> None:
    recorded = at(draft.document.get("recorded_at"))
    for part in MOVED:
        for path, row in draft.rows(part):
            time = at(row.get("time"))
            if time and recorded and time > recorded:
                text = "time is later than recorded_at; check the clocks"
                draft.warn((*path, "time"), "R316", text)
