"""Find the literal references inside a resource. Pure."""

import re
from collections.abc import Iterator
from typing import Any

# `Type/id`, also below a server's base address and of one version: all of them name a resource.
LITERAL = re.compile(
    r"(?:https?://[^?#]+/)?([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?"
)


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
