"""Waste of a controlled substance: the witness is another person than the one who gave it."""

from fhirbridge.records.draft import Draft
from fhirbridge.records.rules import persons


def hold_own_witness(draft: Draft) -> None:
    """Hold a witness who is the giver, or who gave the dose that the waste is of.

    The waste itself is true and goes on, without a witness.
    """
    gave = {row.get("id"): row.get("performer") for _, row in draft.rows("administrations")}
    for path, row in draft.rows("waste"):
        others = (row.get("giver"), gave.get(row.get("administration")))
        if any(persons.are_one(draft, row.get("witness"), other) for other in others):
            text = "witness is the one who gave the drug; name another person who saw the waste"
            draft.hold((*path, "witness"), "R217", text)


def warn(draft: Draft) -> None:
    """Warn of waste that nobody witnessed, or whose amount nobody wrote down."""
    for path, row in draft.rows("waste"):
        if "witness" not in row:
            draft.warn(path, "R323", "this waste has no witness")
        if "amount" not in row:
            draft.warn(path, "R334", "this waste has no amount; the ledger cannot add up")
