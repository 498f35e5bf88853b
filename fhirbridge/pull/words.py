"""What a resource of an EHR is about, in its own words, for a line on a screen. Pure.

An EHR's words are not trusted: what a terminal might obey or hide stands there as its number.
"""

from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 200
CONCEPTS = ("code", "medicationCodeableConcept", "description", "substance")


def about(resource: Mapping[str, Any]) -> str:
    """Return what it is about: title, words and codes, as far as it says so."""
    return plain("; ".join(dict.fromkeys(_said(resource))))


def state(resource: Mapping[str, Any]) -> str:
    """Return what it says of its own state."""
    found = [resource.get("status"), resource.get("lifecycleStatus")]
    for name in ("clinicalStatus", "verificationStatus"):
        found += [one.get("code") for one in _objects(_object(resource.get(name)).get("coding"))]
    return plain(" ".join(one for one in found if isinstance(one, str)))


def plain(text: str) -> str:
    """Write a text so that a terminal shows it and does nothing else; cut where it is long."""
    shown = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text[:LONGEST])
    return shown + ("…" if len(text) > LONGEST else "")


def _said(resource: Mapping[str, Any]) -> Iterator[str]:
    for name in _objects(resource.get("name")) if resource.get("resourceType") == "Patient" else ():
        parts = [*_texts(name.get("given")), *_texts(name.get("family"))]
        yield " ".join(parts or _texts(name.get("text")))
    yield from _texts(resource.get("birthDate"))
    yield from _texts(resource.get("title"))
    yield from _texts(_object(resource.get("medicationReference")).get("display"))
    for concept in (*(resource.get(name) for name in CONCEPTS), *_contained(resource)):
        yield from _texts(_object(concept).get("text"))
        for coding in _objects(_object(concept).get("coding")):
            yield " ".join([*_texts(coding.get("display")), *_texts(coding.get("code"))])
    for reaction in _objects(resource.get("reaction")):
        yield from _said({"substance": reaction.get("substance")})


def _contained(resource: Mapping[str, Any]) -> list[Any]:
    """Return the code of the contained Medication that it points to."""
    said = _object(resource.get("medicationReference")).get("reference")
    return [
        one.get("code")
        for one in _objects(resource.get("contained"))
        if one.get("resourceType") == "Medication" and f"#{one.get('id')}" == said
    ]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> list[str]:
    many = value if isinstance(value, list) else [value]
    return [one for one in many if isinstance(one, str) and one]
