"""Fits what an expression gives to the element where it stands.

What cannot fit is refused at load.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from fhirbridge.translate.definitions import Element
from fhirbridge.translate.expressions.compiled import Compiled, World, words_of
from fhirbridge.translate.faults import FaultError, Place, a
from fhirbridge.translate.frame import RefusedError
from fhirbridge.translate.skeletons.constants import check_code
from fhirbridge.translate.source_types import Type
from fhirbridge.translate.tables.code_table import Concept

Shape = Callable[[Any], Any]

_TEXTS = ("string", "markdown", "uri", "url", "canonical", "code", "id", "oid", "uuid")
_QUANTITIES = ("Quantity", "Age", "Duration", "Count", "Distance")
_TAKEN_BY: Mapping[str, tuple[str, ...]] = {
    "string": _TEXTS,
    "integer": ("integer", "positiveInt", "unsignedInt", "decimal"),
    "decimal": ("decimal",),
    "boolean": ("boolean",),
    "date": ("date", "dateTime"),
    "partialDate": ("date", "dateTime"),
    "dateTime": ("dateTime", "instant"),
    "Quantity": _QUANTITIES,
    "Identifier": ("Identifier",),
    "Reference": ("Reference",),
    "concept": ("CodeableConcept", "Coding", "code"),
    "words": ("CodeableConcept", "string", "markdown"),
    "base64Binary": ("base64Binary",),
    "xhtml": ("xhtml",),
}
_HINTS = {
    ("dateTime", "date"): "; use toDate()",
    ("decimal", "integer"): "; use toInteger()",
    ("decimal", "positiveInt"): "; use toInteger()",
    ("quotient", "decimal"): "; put .round(n) after it",
    ("string", "CodeableConcept"): "; use translate(), code() or text()",
    ("object", "CodeableConcept"): "; use translate() or text()",
    ("object", "Quantity"): "; use quantity()",
}


def shape_for(made: Compiled, element: Element, *, world: World, place: Place) -> Shape:
    """Return what turns one value into the element's JSON. Raises FaultError E213, E214 or E216."""
    kind = made.type
    if kind.kind == "Reference" and element.owner == "Reference" and element.key == "reference":
        return lambda value: value["reference"]
    if element.type not in _TAKEN_BY.get(kind.kind, ()):
        shown = "code" if kind.kind == "concept" else kind.kind
        hint = _HINTS.get((kind.kind, element.type), "")
        message = f"{element.name} is {a(element.type)}, and this gives {a(shown)}{hint}"
        raise FaultError("E213", place, message)
    if kind.kind == "string" and made.constant is not None and element.type == "code":
        check_code(made.constant, element, place)
    _check_targets(kind, element, place)
    _check_codes(kind, element, world, place)
    if kind.kind in ("concept", "words"):
        return _CONCEPTS[element.type]
    if element.type == "positiveInt":
        return _positive
    return _plain


def _check_targets(kind: Type, element: Element, place: Place) -> None:
    strange = [
        name for name in kind.refers.split("|") if element.targets and name not in element.targets
    ]
    if kind.kind == "Reference" and strange:
        allowed = ", ".join(element.targets)
        message = f"{element.name} may refer to {allowed}, not to {strange[0]}"
        raise FaultError("E216", place, message)


def _check_codes(kind: Type, element: Element, world: World, place: Place) -> None:
    """Refuse what may be outside a required value set, and a text that could be anything."""
    if not element.codes:
        return
    known = {code for codes in element.codes.values() for code in codes}
    if kind.kind == "string":
        words = words_of(kind, world)
        if not words:
            hint = "this could be any text; use translate()"
            message = f"{element.name} takes only certain codes, and {hint}"
            raise FaultError("E214", place, message)
        strange = [word for word in words if word not in known]
    elif kind.words_too:
        message = (
            f"{element.name} takes only certain codes, and the record may say any; map its key"
        )
        raise FaultError("E214", place, message)
    else:
        strange = [code for system, code in kind.codes if not _is_known(system, code, element)]
    if strange:
        shown = ", ".join(sorted(known)[:12])
        message = f"{element.name} must be one of {shown}, and this can be '{strange[0]}'"
        raise FaultError("E214", place, message)


def _is_known(system: str, code: str, element: Element) -> bool:
    if element.type == "code":  # a code has no system of its own
        return any(code in codes for codes in element.codes.values())
    return code in element.codes.get(system, ())


def _codeable_concept(concept: Concept) -> Any:
    made: dict[str, Any] = {}
    if concept.codings:
        made["coding"] = [dict(coding) for coding in concept.codings]
    if concept.text:
        made["text"] = concept.text
    return made or None


def _coding(concept: Concept) -> Any:
    return dict(concept.codings[0]) if concept.codings else None


def _bare_code(concept: Concept) -> Any:
    return concept.codings[0]["code"] if concept.codings else None


def _words(concept: Concept) -> Any:
    return concept.text or None


_CONCEPTS: Mapping[str, Shape] = {
    "CodeableConcept": _codeable_concept,
    "Coding": _coding,
    "code": _bare_code,
    "string": _words,
    "markdown": _words,
}


def _positive(value: int) -> int:
    if value < 1:
        raise RefusedError("E407", "the element takes a whole number from 1 up")
    return value


def _plain(value: Any) -> Any:
    """Return the value; a blank text is nothing, a decimal has no exponent (servers refuse it)."""
    if isinstance(value, Decimal):
        return Decimal(format(value, "f"))
    return None if isinstance(value, str) and not value.strip() else value
