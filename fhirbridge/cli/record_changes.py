"""How `fhirbridge record diff` is shown to a person."""

from collections.abc import Mapping, Sequence
from typing import Any

from fhirbridge.cli import printing
from fhirbridge.fhir import codec

HEADS = ("element", "before", "after")
LONGEST = 60  # characters of a value


def show(found: Mapping[str, Any]) -> None:
    """Print the two versions, then a table of the record and one of each resource that changed."""
    told = ("version", "actor", "received_at", "mapping_set", "id")
    sides = (("from", found["from"]), ("to", found["to"]))
    rows = [[side, *(str(one[name]) for name in told)] for side, one in sides]
    printing.table(
        "Versions", ["", "version", "sent by", "received", "mapping set", "record"], rows
    )
    printing.table("Record", HEADS, _rows(found["record"]))
    for one in found["resources"]:
        overlay = f", {one['overlay']}" if one["overlay"] else ""
        printing.table(
            f"{one['resource']}: {one['change']}{overlay}", HEADS, _rows(one["elements"])
        )


def _rows(elements: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [[one["path"], _text(one, "before"), _text(one, "after")] for one in elements]


def _text(one: Mapping[str, Any], side: str) -> str:
    text = codec.encode(one[side]).decode() if side in one else "-"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
