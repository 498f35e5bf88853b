"""Let ours point to what an EHR has itself; where nobody knows which one it is, to nothing. Pure.

A reference to something of ours, or one by the EHR's own number, becomes one by the EHR's id, or is
left out: with words in its place where there are some, else with all that has no more content.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.fhir.references import literal

Named = tuple[str, str]  # a type, and an id of ours or a number of the EHR's

_LEFT_OUT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """What is the EHR's own: of these types nothing of ours is ever there."""

    types: frozenset[str] = frozenset()
    ids: Mapping[Named, str] = field(default_factory=dict)  # by our ids
    numbered: Mapping[Named, str] = field(default_factory=dict)  # by its own numbers
    words: Mapping[Named, str] = field(default_factory=dict)  # in place of a reference, by our ids


NOTHING_OF_THEIRS = Theirs()


def pointed(ours: dict[str, Any], theirs: Theirs) -> dict[str, Any]:
    """Return a resource of ours that points to what is the EHR's own."""
    if not theirs.types:
        return ours
    if ours.get("resourceType") == "Provenance":  # it tells of what we wrote
        targets = [one for one in ours.get("target", []) if not _is_of(one, theirs.types)]
        ours = {**ours, "target": targets}
    changed: dict[str, Any] = _walked(ours, theirs)
    return changed


def numbers(value: Any, types: Collection[str]) -> Iterator[Named]:
    """Yield (type, number) of every reference of these types by a number, at any depth."""
    if isinstance(value, dict):
        if (named := _numbered(value, types)) is not None:
            yield named
        for item in value.values():
            yield from numbers(item, types)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item, types)


def _walked(value: Any, theirs: Theirs) -> Any:
    if isinstance(value, list):
        items = [_walked(item, theirs) for item in value]
        kept = [item for item in items if item is not _LEFT_OUT]
        return kept if kept or not items else _LEFT_OUT
    if not isinstance(value, dict):
        return value
    if _is_of(value, theirs.types) or _numbered(value, theirs.types) is not None:
        return _reference(value, theirs)
    walked = {name: _walked(item, theirs) for name, item in value.items()}
    kept_here = {name: item for name, item in walked.items() if item is not _LEFT_OUT}
    return kept_here if kept_here or not walked else _LEFT_OUT


def _reference(value: dict[str, Any], theirs: Theirs) -> Any:
    named = literal(value)
    if named is not None:
        own, words = theirs.ids.get(named, ""), theirs.words.get(named, "")
    else:
        named = _numbered(value, theirs.types) or ("", "")
        own, words = theirs.numbered.get(named, ""), ""
    shown = {"display": value["display"]} if "display" in value else {}
    if own:
        return {"reference": f"{named[0]}/{own}", **shown}
    return {"type": named[0], "display": words} if words else _LEFT_OUT


def _is_of(value: Any, types: Collection[str]) -> bool:
    named = literal(value) if isinstance(value, dict) else None
    return named is not None and named[0] in types


def _numbered(value: dict[str, Any], types: Collection[str]) -> Named | None:
    """Return (type, number) of a logical reference; None for anything else."""
    kind, identifier = value.get("type"), value.get("identifier")
    if not isinstance(kind, str) or kind not in types or "reference" in value:
        return None
    number = identifier.get("value") if isinstance(identifier, dict) else None
    return (kind, number) if isinstance(number, str) else None
