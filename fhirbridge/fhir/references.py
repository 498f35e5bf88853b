"""Ids, and the literal references inside a resource. Pure."""

import re
from collections.abc import Iterator
from typing import Any

ID = r"[A-Za-z0-9.-]{1,64}"  # as R4 has it, of resources and of versions
# `Type/id`, also below a server's base address and of one version: all of them name a resource.
LITERAL = re.compile(rf"(?:https?://[^?#]+/)?([A-Z][A-Za-z]{{1,63}})/({ID})(?:/_history/[^/]+)?")


def is_id(text: str) -> bool:
    """Say whether R4 takes this as an id; only then can a version id stand in an If-Match."""
    return re.fullmatch(ID, text) is not None


def version_in(etag: str) -> str:
    """Return the version that an ETag names, strong or weak; it may be no id."""
    return etag.removeprefix("W/").strip('"')


def literal_references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (type, id) of every literal reference, at any depth."""
    if isinstance(value, dict):
        target = value.get("reference")
        if isinstance(target, str) and (named := LITERAL.fullmatch(target)):
            yield named[1], named[2]
        for item in value.values():
            yield from literal_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from literal_references(item)
