"""Where two JSON values differ: a path for each, with what stands there. Pure."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from fhirbridge.fhir import codec


class Nothing:
    """Stands where one side has no such element; null would be a value."""


NOTHING: Final = Nothing()


class Difference(NamedTuple):
    """`path` is like `.dosage.dose.value` and holds names and numbers of elements only."""

    path: str
    before: Any
    after: Any


def between(before: Any, after: Any, path: str = "") -> Iterator[Difference]:
    """Compare element by element, in the order of `before`; a decimal's digits count."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _inner(before, after, key, f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        old, new = dict(enumerate(before)), dict(enumerate(after))
        for number in range(max(len(old), len(new))):
            yield from _inner(old, new, number, f"{path}[{number}]")
    elif codec.encode(before) != codec.encode(after):
        yield Difference(path, before, after)


def _inner(
    before: dict[Any, Any], after: dict[Any, Any], key: Any, path: str
) -> Iterator[Difference]:
    if key not in after:
        yield Difference(path, before[key], NOTHING)
    elif key not in before:
        yield Difference(path, NOTHING, after[key])
    else:
        yield from between(before[key], after[key], path)
