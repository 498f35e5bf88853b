"""The files of a case: what a record becomes, written so that a person can read and judge it."""

import base64
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.translate.values import TranslatedResource, Translation

WHY = "why.json"
PAGE = "text/html"
PDF, A_PDF = "application/pdf", "a PDF"  # its bytes are for no reader; they are of a page beside it


def files_of(made: Translation, *, why: bool = False) -> dict[str, str]:
    """Write one file for each mapping, and each page (HTML) that stands in one as a file.

    With `why`, one more that says where each element comes from.
    """
    by_mapping: dict[str, list[dict[str, Any]]] = {}
    files: dict[str, str] = {}
    for one in made.resources:
        body = deepcopy(one.body)
        for page in _attached(body, PAGE):
            name = _page_name(one.mapping, files)
            files[name] = base64.b64decode(page["data"]).decode("utf-8") + "\n"
            page["data"] = f"see {name}"
        for page in _attached(body, PDF):
            page["data"] = A_PDF
        by_mapping.setdefault(one.mapping, []).append(body)
    for mapping, bodies in by_mapping.items():
        files[f"{mapping}.json"] = pretty(bodies) + "\n"
    if why:
        files[WHY] = pretty([row for one in made.resources for row in _whys(one)]) + "\n"
    return files


def _attached(value: Any, kind: str) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if value.get("contentType") == kind and "data" in value:
            yield value
        for inner in value.values():
            yield from _attached(inner, kind)
    elif isinstance(value, list):
        for inner in value:
            yield from _attached(inner, kind)


def _page_name(mapping: str, taken: dict[str, str]) -> str:
    number = sum(name == f"{mapping}.html" or name.startswith(f"{mapping}-") for name in taken)
    return f"{mapping}-{number + 1}.html" if number else f"{mapping}.html"


def _whys(one: TranslatedResource) -> Iterator[dict[str, Any]]:
    for why in one.why:
        yield {"resource": f"{one.type}/{one.id}", **asdict(why)}


def pretty(value: Any, indent: str = "") -> str:
    """Write JSON for a reader: two spaces an indent, and decimals with all their digits."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        rows = [f"{inner}{_text(key)}: {pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{indent}}}"
    if isinstance(value, list | tuple) and value:
        return "[\n" + ",\n".join(inner + pretty(item, inner) for item in value) + f"\n{indent}]"
    return _text(value)


def _text(value: Any) -> str:
    return codec.encode(value).decode("utf-8")
