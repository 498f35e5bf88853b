"""Every element of a resource as a row of CSV that a spreadsheet runs no formula of. Pure."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhirbridge.fhir import codec

HEAD = b"type,id,element,value\r\n"
RUN = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
LONGEST = 32_000  # a cell of a spreadsheet takes 32,767 characters
CUT = " [cut: whole in NDJSON]"


def rows(body: dict[str, Any]) -> Iterator[bytes]:
    """Yield a row for each element that has a value, in the order of the resource."""
    kind, own = body["resourceType"], body["id"]
    for path, value in _leaves(body, ""):
        yield _row([kind, safe(own), path, _shown(value)])


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if path or name not in ("resourceType", "id"):
                yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _leaves(item, f"{path}[{place}]")
    else:
        yield path, value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int):
        return codec.encode(value).decode()  # a number runs nothing, be it below zero
    return safe(str(value))


def safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, cut where a cell ends."""
    found = text if len(text) <= LONGEST else text[:LONGEST] + CUT
    return f"'{found}" if found.lstrip(" ").startswith(RUN) else found


def _row(cells: list[str]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow(cells)
    return written.getvalue().encode()
