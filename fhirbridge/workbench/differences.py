"""How a file differs from what was expected: one line for each difference, with its JSON path.

Values stand in the lines, so both files must be of a synthetic record.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from fhirbridge.fhir import codec, differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference: as its author reads it, and with its place and kind alone."""

    said: str
    bare: str

    def under(self, start: str) -> "Difference":
        """Put the file's name before it."""
        return Difference(said=start + self.said, bare=start + self.bare)


def plain(line: str) -> Difference:
    """Return a difference in which no value stands."""
    return Difference(said=line, bare=line)


LONGEST = 100  # characters of a value that are shown


def of_json(name: str, expected: str, found: str) -> Iterator[Difference]:
    """Compare two JSON files, each a list of resources."""
    if expected == found:
        return
    try:
        wanted = codec.decode(expected.encode("utf-8"))
    except codec.NotJsonError as error:
        yield plain(f"{name}: {error.message}")
        return
    lines = list(_resources(wanted, codec.decode(found.encode("utf-8"))))
    for line in lines or [plain(": the same content in another order or layout")]:
        yield line.under(name if line.said.startswith(":") else f"{name} ")


def of_text(name: str, expected: str, found: str) -> Iterator[Difference]:
    """Compare two pages line by line."""
    wanted, got = expected.splitlines(), found.splitlines()
    for tag, start, end, first, last in SequenceMatcher(None, wanted, got, False).get_opcodes():
        if tag != "equal":
            here = f"{name} line {start + 1}"
            yield _differs(here, _lines(wanted[start:end]), _lines(got[first:last]))


def _differs(path: str, expected: str, found: str) -> Difference:
    said = f"{path}: expected {expected}, found {found}"
    return Difference(said=said, bare=f"{path}: not as expected")


def _lines(lines: list[str]) -> str:
    return _short(" ".join(line.strip() for line in lines)) if lines else "nothing"


def _resources(expected: Any, found: Any) -> Iterator[Difference]:
    """Pair resources by id, so that one more does not shift all that follow."""
    wanted, got = _by_id(expected), _by_id(found)
    if wanted is None or got is None or not wanted.keys() & got.keys():
        yield from _between(expected, found, "")
        return
    for own, (number, resource) in wanted.items():
        if own not in got:
            said = f"[{number}]: expected {own}, and it is not made"
            yield Difference(said=said, bare=f"[{number}]: expected, and not made")
        else:
            yield from _between(resource, got[own][1], f"[{number}]")
    for own, (number, _) in got.items():
        if own not in wanted:
            said = f"[{number}]: {own} is made, and not expected"
            yield Difference(said=said, bare=f"[{number}]: made, and not expected")


def _by_id(resources: Any) -> dict[str, tuple[int, Any]] | None:
    if not isinstance(resources, list):
        return None
    found = {}
    for number, one in enumerate(resources):
        if not isinstance(one, dict) or "id" not in one:
            return None
        found[f"{one.get('resourceType')}/{one['id']}"] = (number, one)
    return found


def _between(expected: Any, found: Any, path: str) -> Iterator[Difference]:
    for one in differences.between(expected, found, path):
        yield _differs(one.path, _shown(one.before), _shown(one.after))


def _shown(value: Any) -> str:
    return "nothing" if value is differences.NOTHING else _short(_text(value))


def _text(value: Any) -> str:
    return codec.encode(value).decode("utf-8")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
