"""Find the literal references inside a resource. Pure."""

from collections.abc import Iterator
from typing import Any


def literal_references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (type, id) of every relative reference `Type/id`, at any depth."""
    if isinstance(value, dict):
        target = value.get("reference")
        if isinstance(target, str) and target.count("/") == 1 and not target.startswith("#"):
            kind, _, identity = target.partition("/")
            yield kind, identity
        for item in value.values():
            yield from literal_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from literal_references(item)
