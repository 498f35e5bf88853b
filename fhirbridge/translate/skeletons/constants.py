"""Constants of a mapping, typed by the element where they stand.

YAML's own guesses play no part.
"""

import re
from decimal import Decimal
from typing import Any

from fhirbridge.translate.definitions import Element
from fhirbridge.translate.faults import FaultError, Place, a, suggest
from fhirbridge.translate.yaml_tree import Scalar

_DATE = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
_ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"
_SHAPES = {
    "boolean": r"true|false",
    "integer": r"-?(0|[1-9]\d*)",
    "unsignedInt": r"0|[1-9]\d*",
    "positiveInt": r"[1-9]\d*",
    "decimal": r"-?(0|[1-9]\d*)(\.\d+)?",
    "date": _DATE,
    "dateTime": rf"{_DATE}|\d{{4}}-\d\d-\d\dT{_TIME}{_ZONE}",
    "instant": rf"\d{{4}}-\d\d-\d\dT{_TIME}{_ZONE}",
    "time": _TIME,
    "code": r"[^\s]+(\s[^\s]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "oid": r"urn:oid:[0-2](\.(0|[1-9]\d*))+",
    "uri": r"\S+",
    "url": r"\S+",
    "canonical": r"\S+",
    "uuid": r"urn:uuid:[0-9a-f-]{36}",
    "base64Binary": r"[A-Za-z0-9+/=]+",
}
_WHOLE = ("integer", "unsignedInt", "positiveInt")


def constant(node: Scalar, element: Element) -> Any:
    """Return the JSON value of a constant. Raises FaultError E213 or E214."""
    shape = _SHAPES.get(element.type)
    if shape and not re.fullmatch(shape, node.text):
        raise FaultError(
            "E213", node.place, f"{element.name} is {a(element.type)}, and '{node.text}' is none"
        )
    if element.type == "boolean":
        return node.text == "true"
    if element.type in _WHOLE:
        return int(node.text)
    if element.type == "decimal":
        return Decimal(node.text)
    if element.codes or element.type == "code":
        check_code(node.text, element, node.place)
    return node.text


def check_code(code: str, element: Element, place: Place) -> None:
    """Raise FaultError E214 where a required value set lacks the code, or there is none."""
    if not element.codes:
        message = f"{element.name} has no list of its own; a code is written system#code"
        raise FaultError("E214", place, message)
    known = [one for codes in element.codes.values() for one in codes]
    if code not in known:
        near = suggest(code, known)
        shown = ", ".join(sorted(known)[:12])
        message = f"{element.name} must be one of {shown}, not '{code}'{near}"
        raise FaultError("E214", place, message)
