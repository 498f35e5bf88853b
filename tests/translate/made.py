"""What a small mapping set makes of a small record."""

import copy
from pathlib import Path
from typing import Any

from fhirbridge.translate.values import TranslatedResource, Translation
from tests.translate.small_set import RECORD, translated, with_files

HEAD = """\
mapping: extra
version: 1.0.0
target: Observation
scope: visit
key: [session_id]
owner: nobody
reviewed: not signed off
"""


def record_with(**changes: Any) -> dict[str, Any]:
    """The record with a field of its first row changed; `None` takes it away."""
    record = copy.deepcopy(RECORD)
    record["rows"][0] |= changes
    record["rows"][0] = {name: v for name, v in record["rows"][0].items() if v is not None}
    return record


def only(translation: Translation, mapping: str) -> TranslatedResource:
    found = [made for made in translation.resources if made.mapping == mapping]
    assert len(found) == 1, [made.mapping for made in translation.resources]
    return found[0]


def extra(body: str, head: str = HEAD) -> dict[str, str]:
    """The small set with one more mapping."""
    lines = "".join(f"  {line}\n" for line in body.strip().split("\n"))
    return with_files(resources__extra=f"{head}resource:\n{lines}")


def body_of(folder: Path, body: str, record: dict[str, Any] | None = None) -> dict[str, Any]:
    """What one more mapping makes, beside status and code."""
    files = extra(f"status: final\ncode: loinc#29463-7\n{body.strip()}")
    made = only(translated(folder, files, record), "extra").body
    return {
        name: value
        for name, value in made.items()
        if name not in ("resourceType", "id", "identifier", "status", "code")
    }
