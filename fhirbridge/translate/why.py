"""What of a record nobody read."""

from collections.abc import Iterable, Iterator
from typing import Any

from fhirbridge.translate.frame import Read


def unmapped(record: dict[str, Any], reads: Iterable[Read]) -> tuple[str, ...]:
    """Return the paths with data that nothing read.

    Of a part of which nothing was read, only the part.
    """
    seen = {(id(value), name) for value, name in reads}
    return tuple(sorted(_unread(record, "", seen)[0]))


def _unread(value: Any, path: str, seen: set[tuple[int, str]]) -> tuple[list[str], bool]:
    """Return what was not read below a value, and whether anything was."""
    missed: list[str] = []
    touched = False
    for inner, own, was_read in _parts(value, path, seen):
        if was_read:
            touched = True
        elif not isinstance(inner, dict | list):
            missed.append(own)
        elif inner:
            below, some = _unread(inner, own, seen)
            missed += below if some else [own]
            touched = touched or some
    return missed, touched


def _parts(value: Any, path: str, seen: set[tuple[int, str]]) -> Iterator[tuple[Any, str, bool]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            own = f"{path}.{name}" if path else name
            simple = not isinstance(inner, dict) and not (
                isinstance(inner, list) and _holds_objects(inner)
            )
            yield inner, own, simple and (id(value), name) in seen
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield inner, f"{path}[{number}]", False


def _holds_objects(rows: list[Any]) -> bool:
    return any(isinstance(row, dict | list) for row in rows)
