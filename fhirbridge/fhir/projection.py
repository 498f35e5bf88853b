"""Compare what we sent with what a server gives back, in the parts that are ours. Pure.

Noise is: meta, the narrative, the order of members and of lists without one, empty elements, and
the same instant written in another way. A decimal keeps its digits: 0.10 is not 0.1.
"""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fhirbridge.fhir import codec

# A server adds meta and may rewrite the narrative; neither says that somebody edited the resource.
SERVER_OWNED = frozenset({"meta", "text"})
# Lists whose order R4 gives no meaning; a server that keeps them as rows may give another one back.
UNORDERED = frozenset({"coding", "extension", "identifier", "modifierExtension"})
INSTANT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")


def same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Say whether a server's copy says what we sent: nothing changed, added or taken away."""
    return canonical(ours) == canonical(theirs)


def canonical(resource: dict[str, Any]) -> bytes:
    """Write the parts of a resource that are ours: equal content gives equal bytes."""
    return codec.canonical(_project(resource))


def differences(one: dict[str, Any], other: dict[str, Any]) -> tuple[str, ...]:
    """Name the elements that differ, as `valueQuantity.value` or `note[1]`; never a value."""
    return tuple(_differing("", _project(one), _project(other)))


def _project(resource: dict[str, Any]) -> dict[str, Any]:
    ours = {name: value for name, value in resource.items() if name not in SERVER_OWNED}
    projected: dict[str, Any] = _clean(ours)
    return projected


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        cleaned = {name: _settled(name, _clean(item)) for name, item in value.items()}
        return {name: item for name, item in cleaned.items() if item not in ({}, [], None)}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return _instant(value) if isinstance(value, str) else value


def _settled(name: str, value: Any) -> Any:
    """Bring a list without an order in one."""
    if name in UNORDERED and isinstance(value, list):
        return sorted(value, key=codec.canonical)
    return value


def _instant(text: str) -> str:
    """Write an instant in UTC and without closing zeros; any other text stays as it is."""
    found = INSTANT.fullmatch(text)
    if found is None:
        return text
    try:
        moment = datetime.fromisoformat(found[1] + found[3]).astimezone(UTC)
    except (ValueError, OverflowError):  # 24:00, a leap second, the edge of the calendar
        return text
    fraction = (found[2] or "").rstrip("0")
    written = moment.replace(tzinfo=None).isoformat()
    return f"{written}.{fraction}Z" if fraction else f"{written}Z"


def _differing(path: str, one: Any, other: Any) -> list[str]:
    if codec.canonical(one) == codec.canonical(other):
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for name in sorted(one.keys() | other.keys()):
            below = f"{path}.{_name(name)}" if path else _name(name)
            found += _differing_member(below, name, one, other)
        return found
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [name for n, (a, b) in pairs for name in _differing(f"{path}[{n}]", a, b)]
    return [path]


def _differing_member(
    path: str, name: str, one: dict[str, Any], other: dict[str, Any]
) -> list[str]:
    if name in one and name in other:
        return _differing(path, one[name], other[name])
    return [path]


def _name(text: str) -> str:
    """Return an element's name; a server could put anything in the place of one."""
    return text if NAME.fullmatch(text) else "?"
