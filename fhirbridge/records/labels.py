"""The labels of a record, such as those of 42 CFR Part 2."""

from collections.abc import Iterator
from typing import Any


def of(value: Any) -> Iterator[str]:
    """Yield the labels of the record and of every row: what one row needs, all of it needs."""
    if isinstance(value, dict):
        yield from value.get("labels", [])
        for item in value.values():
            yield from of(item)
    elif isinstance(value, list):
        for item in value:
            yield from of(item)
