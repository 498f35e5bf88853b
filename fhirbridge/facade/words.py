"""By which words a version is found without opening any. Pure; what is stored are keyed hashes."""

from collections.abc import Iterator
from typing import Any

from fhirbridge.fhir.references import literal

IDENTIFIER = "identifier"
BIRTHDATE = "birthdate"
TARGET = "target"


def of(body: dict[str, Any]) -> frozenset[tuple[str, str]]:
    """Return (parameter, word) for what a resource is looked up by."""
    return frozenset(_of(body))


def _of(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for one in _objects(body.get("identifier")):
        if value := one.get("value"):
            yield IDENTIFIER, value
    if body["resourceType"] == "Patient" and (born := body.get("birthDate")):
        yield BIRTHDATE, born
    if body["resourceType"] == "Provenance":
        for one in _objects(body.get("target")):
            if (named := literal(one)) is not None:
                yield TARGET, f"{named[0]}/{named[1]}"


def named(parameter: str, word: str) -> str:
    """Return what is hashed: the same word of two parameters has two hashes."""
    return f"facade:{parameter}:{word}"


def _objects(value: Any) -> list[dict[str, Any]]:
    many = value if isinstance(value, list) else [value]
    return [one for one in many if isinstance(one, dict)]
