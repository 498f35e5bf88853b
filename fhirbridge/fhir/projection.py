"""Compare what we sent with what a server gives back, in the parts that are ours. Pure."""

from decimal import Decimal
from typing import Any

from fhirbridge.fhir import codec

# A server adds meta and may rewrite the narrative; neither says that somebody edited the resource.
SERVER_OWNED = frozenset({"meta", "text"})


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Say whether a server's copy says what we sent: nothing changed, added or taken away."""
    return codec.canonical(_project(ours)) == codec.canonical(_project(theirs))


def _project(resource: dict[str, Any]) -> dict[str, Any]:
    ours = {name: value for name, value in resource.items() if name not in SERVER_OWNED}
    projected: dict[str, Any] = _clean(ours)
    return projected


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        cleaned = {name: _clean(item) for name, item in value.items()}
        return {name: item for name, item in cleaned.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value
