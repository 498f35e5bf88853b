"""Is this JSON a sound R4 resource? The answer is sentences with paths, never a patient's values.

fhir.resources has R4B, whose structure is that of R4 but for what is guarded here, and it is
lenient where R4 is not: `"72"` passes as a decimal, `"true"` as a boolean, an empty array as none.
"""

import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from fhirbridge.fhir import invariants

# The library reads this limit when its models are first imported; R4 says 64, it says 255.
ID_MAX_LENGTH = 64

# R4B widened Observation.subject, and has two extension values which R4 does not know.
ANY_RESOURCE = "Resource"
R4_SUBJECT = ("Patient", "Group", "Device", "Location")
NOT_IN_R4 = {"Extension": ("valueCodeableReference", "valueRatioRange")}

_ELEMENT_NAME = re.compile(r"_?[A-Za-z][A-Za-z0-9]{0,63}")
_RELATIVE_REFERENCE = re.compile(
    r"([A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64}(?:/_history/[A-Za-z0-9.\-]{1,64})?"
)

# Only what is listed is said: the library's own words may repeat the value they complain about.
_SENTENCES = {
    "missing": "is missing",
    "model_field_validation.missing": "is missing",
    "extra_forbidden": "is not an element of R4 here",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "has not the form of its type",
    "model_validation_format": "is not a single object",
    "list_type": "is not an array",
    "string_type": "is not a string",
    "fhir_spec_validation_error": "has not the form which R4 asks for",
}
_VALUE_ERRORS = (
    ("Any of one field value is expected", "has several values where R4 allows one"),
    ("Expect any of field value", "has none of the values of which R4 requires one"),
    ("does not match spec regex", "has not the form of its type"),
)


def problems(resource: Mapping[str, Any]) -> list[str]:
    """Say all that is structurally wrong with one resource; an empty list means sound.

    `resource` is FHIR JSON as data; decimals are Decimal. Codes, profiles and most invariants
    are the business of the mapping compiler and of the HL7 validator.
    """
    kind = resource.get("resourceType")
    if not isinstance(kind, str):
        return ["resourceType is missing"]
    model = _model(kind)
    if model is None:
        return ["resourceType is not a resource of R4"]
    found = [*_structure(resource, model, kind), *_walk(resource, model, kind)]
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Element:
    """What R4B says of one element: a primitive's Python type, or a model."""

    kind: Any
    many: bool
    targets: tuple[str, ...]


def is_type(kind: str) -> bool:
    """Say whether this names a resource type of R4."""
    model = _model(kind)
    return model is not None and "implicitRules" in model.model_fields


@cache
def _models() -> Any:
    """Import the library once, on first use: it takes longer than the whole command line."""
    from fhir_core import constraints  # noqa: PLC0415

    constraints.TYPES_ID_MAX_LENGTH = ID_MAX_LENGTH
    from fhir.resources import R4B  # noqa: PLC0415

    return R4B.get_fhir_model_class


@cache
def _model(kind: str) -> Any:
    if not _ELEMENT_NAME.fullmatch(kind):
        return None
    try:
        return _models()(kind)
    except ValueError:
        return None


def _structure(resource: Mapping[str, Any], model: Any, kind: str) -> Iterator[str]:
    """Ask the R4B model."""
    from pydantic import ValidationError  # noqa: PLC0415

    try:
        model.model_validate(dict(resource))
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            yield f"{_path(kind, detail['loc'])} {_sentence(detail['type'], detail['msg'])}"


def _sentence(kind: str, message: str) -> str:
    for start, sentence in _VALUE_ERRORS:
        if start in message:
            return sentence
    return _SENTENCES.get(kind, f"has the wrong shape ({kind})")


def _path(kind: str, location: tuple[int | str, ...]) -> str:
    path = kind
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step != "root":
            path += f".{_name(step)}"
    return path


def _name(element: str) -> str:
    """Repeat a key only where it looks like an element's name: any other may hold anything."""
    return element if _ELEMENT_NAME.fullmatch(element) else "?"


def _walk(value: Mapping[str, Any], model: Any, path: str) -> Iterator[str]:
    """Check what the library lets through, object by object."""
    name = model.get_resource_type()
    elements = _elements(model)
    for broken in invariants.broken(name, value):
        yield f"{path} {broken}"
    for key, item in value.items():
        here = f"{path}.{_name(key)}"
        if key in NOT_IN_R4.get(name, ()):
            yield f"{here} is not an element of R4 here"
        if key in elements:
            yield from _element(item, elements[key], here)
    if not value:
        yield f"{path} is empty"


def _element(item: Any, element: _Element, path: str) -> Iterator[str]:
    if element.many and isinstance(item, list):
        if not item:
            yield f"{path} is an empty array"
        for index, row in enumerate(item):
            if row is not None:
                yield from _single(row, element, f"{path}[{index}]")
    elif item is None:
        yield f"{path} is null"
    elif element.many:
        yield f"{path} is not an array"
    else:
        yield from _single(item, element, path)


def _single(item: Any, element: _Element, path: str) -> Iterator[str]:
    if isinstance(item, Mapping):
        if isinstance(element.kind, type) and hasattr(element.kind, "get_model_klass"):
            yield from _object(item, element, path)
    elif isinstance(element.kind, type):
        yield from _primitive(item, element.kind, path)


def _object(item: Mapping[str, Any], element: _Element, path: str) -> Iterator[str]:
    model = element.kind.get_model_klass()
    inner = item.get("resourceType")
    if isinstance(inner, str):  # contained, or a Bundle's entry
        model = _model(inner) or model
    if model.get_resource_type() == "Reference":
        yield from _reference(item, element, path)
    yield from _walk(item, model, path)


def _reference(item: Mapping[str, Any], element: _Element, path: str) -> Iterator[str]:
    written = item.get("reference")
    match = _RELATIVE_REFERENCE.fullmatch(written) if isinstance(written, str) else None
    allowed = element.targets
    if match and allowed and ANY_RESOURCE not in allowed and match[1] not in allowed:
        yield f"{path} refers to a {_name(match[1])}, which R4 does not allow here"


# What a primitive must be in JSON; all that is not here is a string.
_JSON_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    Decimal: ((int, Decimal), "a number"),
    int: ((int,), "a whole number"),
}


def _primitive(item: Any, kind: type, path: str) -> Iterator[str]:
    """Check that a number is a JSON number, a boolean true or false, all else a string."""
    allowed, words = _JSON_TYPES.get(kind, ((str,), "a string"))
    # In Python True is an int; in JSON it is not.
    if not isinstance(item, allowed) or (isinstance(item, bool) and kind is not bool):
        yield f"{path} is not {words}"
    elif isinstance(item, str) and not item.strip():
        yield f"{path} is an empty string"


@cache
def _elements(model: Any) -> dict[str, _Element]:
    """List a model's elements by JSON name; `_value`, the extensions of a primitive, included."""
    found = {}
    for field in model.model_fields.values():
        if field.alias in (None, "resourceType", "fhir_comments"):
            continue
        kind, many = _unwrap(field.annotation)
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        targets = tuple(extra.get("enum_reference_types", ()))
        if (model.get_resource_type(), field.alias) == ("Observation", "subject"):
            targets = R4_SUBJECT
        found[field.alias] = _Element(kind=kind, many=many, targets=targets)
    return found


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """Peel Optional, List and Annotated off a field's type: (inner type, is it a list)."""
    many = False
    while (origin := typing.get_origin(annotation)) is not None:
        inner = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        many = many or origin is list
        annotation = inner[0]
    return annotation, many
