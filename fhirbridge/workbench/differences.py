"""How a file differs from what was expected: one line for each difference, with its JSON path.

Values stand in the lines, so both files must be of a synthetic record.
"""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from fhirbridge.fhir import codec, differences

LONGEST = 100  # characters of a value that are shown


def of_json(name: str, expected: str, found: str) -> Iterator[str]:
    """Compare two JSON files, each a list of resources."""
    if expected == found:
        return
    try:
        wanted = codec.decode(expected.encode("utf-8"))
    except codec.NotJsonError as error:
        yield f"{name}: {error.message}"
        return
    lines = list(_resources(wanted, codec.decode(found.encode("utf-8"))))
    for line in lines or [": the same content in another order or layout"]:
        yield f"{name}{line}" if line.startswith(":") else f"{name} {line}"


def of_text(name: str, expected: str, found: str) -> Iterator[str]:
    """Compare two pages line by line."""
    wanted, got = expected.splitlines(), found.splitlines()
    for tag, start, end, first, last in SequenceMatcher(None, wanted, got, False).get_opcodes():
        if tag != "equal":
            here = f"{name} line {start + 1}"
            yield f"{here}: expected {_lines(wanted[start:end])}, found {_lines(got[first:last])}"


def _lines(lines: list[str]) -> str:
    return _short(" ".join(line.strip() for line in lines)) if lines else "nothing"


def _resources(expected: Any, found: Any) -> Iterator[str]:
    """Pair resources by id, so that one more does not shift all that follow."""
    wanted, got = _by_id(expected), _by_id(found)
    if wanted is None or got is None or not wanted.keys() & got.keys():
        yield from _between(expected, found, "")
        return
    for own, (number, resource) in wanted.items():
        if own not in got:
            yield f"[{number}]: expected {own}, and it is not made"
        else:
            yield from _between(resource, got[own][1], f"[{number}]")
    for own, (number, _) in got.items():
        if own not in wanted:
            yield f"[{number}]: {own} is made, and not expected"


def _by_id(resources: Any) -> dict[str, tuple[int, Any]] | None:
    if not isinstance(resources, list):
        return None
    found = {}
    for number, one in enumerate(resources):
        if not isinstance(one, dict) or "id" not in one:
            return None
        found[f"{one.get('resourceType')}/{one['id']}"] = (number, one)
    return found


def _between(expected: Any, found: Any, path: str) -> Iterator[str]:
    for one in differences.between(expected, found, path):
        yield f"{one.path}: expected {_shown(one.before)}, found {_shown(one.after)}"


def _shown(value: Any) -> str:
    return "nothing" if value is differences.NOTHING else _short(_text(value))


def _text(value: Any) -> str:
    return codec.encode(value).decode("utf-8")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
