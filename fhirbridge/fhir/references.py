"""Ids, and the literal references inside a resource. Pure."""

import re
from collections.abc import Iterator, Mapping
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


def literal(reference: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (type, id) of a Reference that names a resource so; None for anything else."""
    target = reference.get("reference")
    named = LITERAL.fullmatch(target) if isinstance(target, str) else None
    return None if named is None else (named[1], named[2])


def literal_references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield (type, id) of every literal reference, at any depth."""
    if isinstance(value, dict):
        if (named := literal(value)) is not None:
            yield named
        for item in value.values():
            yield from literal_references(item)
    elif isinstance(value, list):
        for item in value:
            yield from literal_references(item)


def without_ids(value: Any) -> Any:
    """Return a value in which each literal reference says no more than the type it points to."""
    if isinstance(value, dict):
        changed = {name: without_ids(item) for name, item in value.items()}
        if (named := literal(value)) is not None:
            changed["reference"] = named[0]
        return changed
    return [without_ids(item) for item in value] if isinstance(value, list) else value


def renamed(value: Any, ids: Mapping[tuple[str, str], str]) -> Any:
    """Return a value in which each literal reference to one of `ids` names the id given there."""
    if isinstance(value, dict):
        changed = {name: renamed(item, ids) for name, item in value.items()}
        if (named := literal(value)) is not None and (own := ids.get(named)) is not None:
            changed["reference"] = f"{named[0]}/{own}"
        return changed
    return [renamed(item, ids) for item in value] if isinstance(value, list) else value
