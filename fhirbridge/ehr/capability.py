"""What a CapabilityStatement says. Pure; believes nothing of it."""

from typing import Any

PATIENT = "Patient"
MOST_PROFILES = 2000
UNPROMISED = frozenset({"date", "extension", "id", "meta", "text"})


def claims(statement: dict[str, Any]) -> dict[str, bool]:
    """Say what the server claims, by the names of traits; R4 has no flag for the others.

    Of the types, Patient: it is the one that a probe tries.
    """
    rest = [one for one in _objects(statement.get("rest")) if one.get("mode") != "client"]
    whole = {code for one in rest for code in _codes(one)}
    patients = [
        one for part in rest for one in _objects(part.get("resource")) if one.get("type") == PATIENT
    ]
    own = {code for one in patients for code in _codes(one)}
    return {
        "own_ids": any(one.get("updateCreate") is True for one in patients),
        "conditional_create": any(one.get("conditionalCreate") is True for one in patients),
        "version_guard": any(one.get("versioning") == "versioned-update" for one in patients),
        "transaction": "transaction" in whole,
        "batch": "batch" in whole,
        "search": "search-type" in own,
        "history": "history-instance" in own,
        "delete": "delete" in own,
        "match": any(_offers(one, "match") for one in [*rest, *patients]),
    }


def _codes(value: dict[str, Any]) -> set[str]:
    codes = [one.get("code") for one in _objects(value.get("interaction"))]
    return {code for code in codes if isinstance(code, str)}


def _offers(value: dict[str, Any], operation: str) -> bool:
    names = [str(one.get("name", "")) for one in _objects(value.get("operation"))]
    return operation in [name.removeprefix("$") for name in names]


def promised(value: Any) -> Any:
    """Leave out what says when and how the statement was written, or counts what is there."""
    if isinstance(value, dict):
        return {k: promised(item) for k, item in value.items() if k not in UNPROMISED}
    return [promised(item) for item in value] if isinstance(value, list) else value


def profiles(statement: dict[str, Any]) -> tuple[str, ...]:
    """Return the profiles that a CapabilityStatement lists, of all its resource types."""
    found: set[str] = set()
    for rest in _objects(statement.get("rest")):
        for resource in _objects(rest.get("resource")):
            listed = resource.get("supportedProfile")
            named = [*(listed if isinstance(listed, list) else ()), resource.get("profile")]
            found |= {one for one in named if isinstance(one, str)}
    return tuple(sorted(found))[:MOST_PROFILES]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
