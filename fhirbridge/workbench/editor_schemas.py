"""JSON Schemas for editors of mapping files, made from the R4 table that the compiler uses.

They complete names and say types, numbers and codes; what is right, `map check` says.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.translate.definitions import Element, Room, is_primitive, room, room_of
from fhirbridge.translate.mapping_file import KEYS, NEEDED
from fhirbridge.translate.values import Scope

Json = dict[str, Any]

SHARED = "fhir-types.schema.json"
_DRAFT = "http://json-schema.org/draft-07/schema#"
_MOST_CODES = 60  # longer lists are of no use in an editor
_HEAD = {
    "mapping": "The file's name",
    "version": "Semver of this file; raise it with each change",
    "target": "The resource type that is made",
    "scope": "Which records may own the resource",
    "profile": "Canonical URLs of the profiles claimed, as a list",
    "optional": "true: made only where an overlay adds it",
    "each": "One resource for each row: vitals as v",
    "when": "Made only where this expression is true",
    "as_of": "Which of several records is newest",
    "key": "Expressions that make the id; keep them as they are",
    "keyspace": "Whose ids these are; else the mapping's name",
    "let": "Names for expressions",
    "requires": "Checks, each {check, message}",
    "owner": "Who looks after the file",
    "reviewed": "Who signed it and when; else: not signed off",
    "note": "Why it is as it is",
    "resource": "The resource, in FHIR's own shape",
}
_EXPRESSION: Json = {"type": "string", "pattern": "^=", "description": "An expression: = v.time"}
_CODE: Json = {
    "type": "string",
    "pattern": "^[A-Za-z][A-Za-z0-9-]*#",
    "description": "A code of codes.yaml: loinc#8480-6",
}
_ANY: Json = {}


def schemas(targets: Iterable[str]) -> dict[str, bytes]:
    """Return file name -> bytes: one schema for each target, and one that they share."""
    types = _Types()
    files = {f"{name}.schema.json": _of_target(name, types) for name in sorted(set(targets))}
    files[SHARED] = {"$schema": _DRAFT, "definitions": types.all()}
    return {name: codec.encode(files[name]) + b"\n" for name in sorted(files)}


def _of_target(target: str, types: "_Types") -> Json:
    inner = _Rooms(target, types)
    resource = inner.object_of(room(target))
    head: Json = {key: {"description": _HEAD[key]} for key in KEYS}
    head["target"]["const"] = target
    head["scope"]["enum"] = list(Scope)
    head["version"]["pattern"] = r"^\d+\.\d+\.\d+$"
    head["optional"]["const"] = True
    for key in ("profile", "key", "requires"):
        head[key]["type"] = "array"
    head["resource"]["anyOf"] = [resource, _shared("directive")]
    return {
        "$schema": _DRAFT,
        "title": f"Mapping to {target}",
        "type": "object",
        "required": list(NEEDED),
        "additionalProperties": False,
        "properties": head,
        "definitions": inner.made,
    }


def _shared(name: str) -> Json:
    return {"$ref": f"{SHARED}#/definitions/{name}"}


def _here(name: str) -> Json:
    return {"$ref": f"#/definitions/{name}"}


class _Rooms:
    """The objects that one type holds inside itself (Observation.component), by name."""

    def __init__(self, owner: str, types: "_Types") -> None:
        self._owner = owner
        self._types = types
        self.made: dict[str, Json] = {}

    def object_of(self, at: Room) -> Json:
        """Return the schema of an object with these elements; required ones may be a choice."""
        elements = (one for one in at.elements.values() if not one.key.startswith("_"))
        return {
            "type": "object",
            "properties": {one.key: self._element(one) for one in elements} | {"$if": {}},
            "patternProperties": {"^_": {}},
            "additionalProperties": False,
        }

    def _element(self, element: Element) -> Json:
        one = self._single(element)
        most = "*" if element.many else "1"
        described = f"{element.type} {element.least}..{most}"
        if element.targets:
            described += f" ({', '.join(element.targets)})"
        item = one[0] if len(one) == 1 else {"anyOf": one}
        if not element.many:
            return {"description": described, **item}
        listed: Json = {"type": "array", "items": item}
        return {"description": described, "anyOf": [listed, _shared("computed")]}

    def _single(self, element: Element) -> list[Json]:
        """Return the ways in which one value may be written."""
        ways = [_shared("computed")]
        codes = sorted({code for listed in element.codes.values() for code in listed})
        if codes and element.type == "code" and len(codes) <= _MOST_CODES:
            return [{"enum": codes}, _shared("code"), *ways]
        if is_primitive(element.type):
            return [_shared("value")]
        if element.type in ("CodeableConcept", "Coding"):
            ways = [_shared("code"), *ways]
        return [self._object(element), *ways]

    def _object(self, element: Element) -> Json:
        if element.type == "Resource":
            return {"type": "object"}
        at = room_of(element)
        if at.name == element.type:
            return _shared(self._types.name_of(element.type))
        if at.name not in self.made:
            self.made[at.name] = _ANY  # before it is made: an element may hold itself
            self.made[at.name] = self.object_of(at)
        return _here(at.name)


class _Types:
    """The data types that are used, each once for all targets."""

    def __init__(self) -> None:
        self._made: dict[str, Json] = {}

    def name_of(self, type_name: str) -> str:
        if type_name not in self._made:
            self._made[type_name] = _ANY
            inner = _Rooms(type_name, self)
            self._made[type_name] = inner.object_of(room(type_name))
            self._made |= inner.made
        return type_name

    def all(self) -> Mapping[str, Json]:
        value: Json = {"type": ["string", "number", "boolean"]}
        fixed: dict[str, Json] = {
            "expression": _EXPRESSION,
            "code": _CODE,
            "directive": _directive(),
            "computed": {"anyOf": [_shared("expression"), _shared("directive")]},
            "value": {"anyOf": [value, _shared("directive")]},
        }
        return dict(sorted((self._made | fixed).items()))


def _directive() -> Json:
    """Return the schema of $for, $switch and $use, each with $if or not."""
    return {
        "type": "object",
        "properties": {
            "$for": {"type": "string", "description": "One item for each row: d.notes as n"},
            "$item": {"description": "What is made of each row"},
            "$if": {"description": "Only where this is true"},
            "$switch": {"type": "array", "description": "The first $when that is true"},
            "$use": {"type": "string", "description": "The name of a fragment"},
            "with": {"type": "object", "description": "The fragment's parameters"},
        },
        "additionalProperties": False,
        "anyOf": [{"required": [key]} for key in ("$for", "$switch", "$use")],
    }
