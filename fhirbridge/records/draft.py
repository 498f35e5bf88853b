"""A record while it is checked: what was found, and what is left when held elements are taken out.

A held element is blanked at once, so that later rules do not see it; list places keep their
numbers until `finish`, so that every pointer is one into the record as sent.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fhirbridge.records.findings import Finding, Level
from fhirbridge.records.source import Json, SourceField

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One value in the record and the field it fills."""

    path: Path
    field: SourceField
    value: Any


class Draft:
    """One record under check."""

    def __init__(self, sent: dict[str, Any]) -> None:
        """Take the record as sent; it is not changed."""
        self.sent = sent
        self.document: dict[str, Any] = deepcopy(sent)
        self.findings: list[Finding] = []
        self.zone_applied: list[str] = []
        self._wrong: set[Path] = set()
        self._doubtful: set[str] = set()

    def refuse(self, path: Path, code: str, message: str, *, blank: Path | None = None) -> None:
        """Note an error: the record will be refused.

        What is wrong (`blank`, if it is not `path`) is taken out and not looked at again.
        """
        self._note(Level.ERROR, path, code, message)
        self._wrong.update(path[:length] for length in range(len(path) + 1))
        # An error at a row, at a whole part or at an id leaves rows that cannot be named.
        if path and (len(path) == 1 or path[-1] == "id" or isinstance(path[-1], int)):
            self._doubtful.add(str(path[0]))
        self.blank(path if blank is None else blank)

    def hold(self, path: Path, code: str, message: str) -> None:
        """Take one element out that cannot be true; the rest goes on."""
        self._note(Level.HELD, path, code, message)
        self.blank(path)

    def warn(self, path: Path, code: str, message: str) -> None:
        """Note what is unusual; it is sent."""
        self._note(Level.WARNING, path, code, message)

    def is_wrong(self, *path: str | int) -> bool:
        """Say whether an error lies at this place or below it."""
        return path in self._wrong

    def knows_rows_of(self, parts: tuple[str, ...]) -> bool:
        """Say whether the ids of these parts ("*" is all) are known, so that one can be missed."""
        holders = {part.partition(".")[0] for part in parts}
        return not (self._doubtful if "*" in parts else self._doubtful.intersection(holders))

    def blank(self, path: Path) -> None:
        """Take an element out of the document, if it is there."""
        *way, last = path or ("",)
        holder = value_at(self.document, tuple(way))
        if isinstance(holder, dict):
            holder.pop(last, None)
        elif isinstance(holder, list) and isinstance(last, int) and last < len(holder):
            holder[last] = None

    def replace(self, path: Path, value: Json) -> None:
        """Put another value in the place of one that is there."""
        *way, last = path
        value_at(self.document, tuple(way))[last] = value

    def part(self, name: str) -> dict[str, Any]:
        """Return a part that is one object, or an empty one."""
        value = self.document.get(name)
        return value if isinstance(value, dict) else {}

    def rows(self, name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Walk the rows of a part that is a list."""
        return rows_in(self.document, name, ())

    def walk(self, source: SourceField) -> list[Place]:
        """List every value in the document with its field, parents first."""
        places: list[Place] = []
        _walk(self.document, source, (), places)
        return places

    def finish(self) -> dict[str, Any]:
        """Close the gaps in lists and return the document."""
        closed: dict[str, Any] = _close_gaps(self.document)
        return closed

    def _note(self, level: Level, path: Path, code: str, message: str) -> None:
        row = row_of(self.sent, path)
        self.findings.append(
            Finding(level=level, code=code, pointer=pointer(path), message=message, row=row)
        )


def pointer(path: Path) -> str:
    """Write a path as a JSON Pointer."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in path)


def value_at(document: Json, path: Path) -> Json:
    """Return what stands at a path, or None."""
    for step in path:
        if isinstance(document, dict) and isinstance(step, str):
            document = document.get(step)
        elif isinstance(document, list) and isinstance(step, int) and step < len(document):
            document = document[step]
        else:
            return None
    return document


def rows_in(holder: dict[str, Any], name: str, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Walk the rows of a list that stands in `holder`, itself at `path`."""
    found = holder.get(name)
    for index, row in enumerate(found if isinstance(found, list) else ()):
        if isinstance(row, dict):
            yield (*path, name, index), row


def row_of(document: dict[str, Any], path: Path) -> str:
    """Name the row a path leads into, as translation names it: "vitals/v-3", "plan.goals/g-1".

    That is the outermost one: an answer belongs to its assessment, a rate to its administration.
    Where no list is passed it is the part ("visit"), and "" for a field of the record itself.
    """
    for length, step in enumerate(path):
        if isinstance(step, int):
            row = value_at(document, path[: length + 1])
            known = row.get("id") if isinstance(row, dict) else None
            name = known if isinstance(known, str) else str(step)
            return f"{'.'.join(str(part) for part in path[:length])}/{name}"
    return str(path[0]) if path and isinstance(document.get(str(path[0])), dict) else ""


def _walk(value: Json, field: SourceField, path: Path, places: list[Place]) -> None:
    places.append(Place(path=path, field=field, value=value))
    if field.kind == "object" and isinstance(value, dict):
        for name, child in field.fields.items():
            if value.get(name) is not None:
                _walk(value[name], child, (*path, name), places)
    elif field.item is not None and isinstance(value, list):
        for index, item in enumerate(value):
            if item is not None:
                _walk(item, field.item, (*path, index), places)


def _close_gaps(value: Json) -> Json:
    if isinstance(value, dict):
        return {name: _close_gaps(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_close_gaps(item) for item in value if item is not None]
    return value
