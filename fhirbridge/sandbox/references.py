"""References inside a resource: find them, rewrite them, say what they point at. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from fhirbridge.sandbox.definitions import RESOURCE_TYPES
from fhirbridge.sandbox.outcome import Issue, RefusedError, bad_request

_LITERAL = re.compile(r"([A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_CONDITIONAL = re.compile(r"[A-Za-z]+\?.+", re.DOTALL)


class Target(NamedTuple):
    """What a literal reference points at."""

    type: str
    id: str


def find(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each `Reference.reference` with its element path, array indexes left out."""
    yield from _walk(resource, str(resource.get("resourceType", "")))


def rewrite(resource: Mapping[str, Any], change: Callable[[str, str], str]) -> dict[str, Any]:
    """Return a copy in which `change(path, reference)` replaced each reference."""
    changed = _rewrite(resource, str(resource.get("resourceType", "")), change)
    assert isinstance(changed, dict)
    return changed


def is_conditional(reference: str) -> bool:
    """Tell whether this is a search in place of an id: `Patient?identifier=…`."""
    return _CONDITIONAL.fullmatch(reference) is not None


def target(reference: str) -> Target | None:
    """Return what `Type/id` or `Type/id/_history/n` points at; None for any other form."""
    match = _LITERAL.fullmatch(reference)
    return Target(match[1], match[2]) if match else None


def settled(path: str, reference: str) -> str:
    """Return a reference as it is stored, without a version, as HAPI stores it.

    Raises RefusedError for a form that the sandbox cannot check: absolute, `urn:` or shapeless.
    """
    if reference.startswith("#"):
        return reference
    found = target(reference)
    if found is None:
        raise bad_request(
            f"{path} holds a reference that cannot be resolved here",
            hint="use Type/id, or urn:uuid of an entry in the same transaction",
        )
    if found.type not in RESOURCE_TYPES:
        raise RefusedError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            Issue.INVALID,
            f"{path} points at a resource type that R4 does not have",
        )
    return f"{found.type}/{found.id}"


def _walk(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _walk(item, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key == "reference" and isinstance(item, str):
                yield path, item
            else:
                yield from _walk(item, f"{path}.{key}")


def _rewrite(value: object, path: str, change: Callable[[str, str], str]) -> object:
    if isinstance(value, list):
        return [_rewrite(item, path, change) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {
        key: change(path, item)
        if key == "reference" and isinstance(item, str)
        else _rewrite(item, f"{path}.{key}", change)
        for key, item in value.items()
    }
