"""Whether each number of a resource is the record's own, digit for digit, or its exact conversion.

The trace says which fields an element was made from: that is how a number is followed.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from math import prod
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import units
from fhirbridge.translate.values import TranslatedResource
from tests.golden import translating

Number = int | Decimal
STEP = re.compile(r"[^.\[\]]+")


def at(value: Any, path: str) -> Any:
    """Return what stands at `a.b[0].c`, or None."""
    for step in STEP.findall(path):
        if isinstance(value, list):
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def numbers(value: Any, path: str = "") -> Iterator[str]:
    """Return the path of each number in a resource."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from numbers(inner, f"{path}[{number}]")
    elif is_number(value):
        yield path


def is_number(value: Any) -> bool:
    return isinstance(value, Number) and not isinstance(value, bool)


def lost(record: dict[str, Any], made: TranslatedResource) -> Iterator[str]:
    """Say of which numbers the digits are not those of the record."""
    if not any(numbers(made.body)):
        return
    body = codec.decode(codec.encode(made.body))
    sources = {why.target.partition(".")[2]: why.sources for why in made.why}
    for path in numbers(body):
        if path.endswith(".strength.denominator.value"):
            continue  # one mL
        holder = path if path in sources else path.rpartition(".")[0]
        if holder not in sources:
            yield f"{made.mapping}: {path} comes from nowhere"
            continue
        unit = at(body, path.rpartition(".")[0]).get("unit") if "." in path else None
        if not kept(at(body, path), unit, record, sources[holder]):
            yield f"{made.mapping}: {path} is not as written"


def kept(found: Number, unit: str | None, record: dict[str, Any], sources: tuple[str, ...]) -> bool:
    """Tell whether a number has its source's digits; in another unit, exactly its amount."""
    named = [(path, at(record, path)) for path in sources]
    given = [(path, value) for path, value in named if is_number(value)]
    if len(given) != 1:  # a dose per weight, times the weight; a volume, times its strength
        return bool(given) and Fraction(found) == prod(reckoned(record, *one) for one in given)
    path, value = given[0]
    own = unit_at(record, path) if path.endswith(".value") else unit
    if own == f"{unit}/mL":  # a strength, as so much in one mL
        own = unit
    if own is None or unit in (own, shown(own)):
        return codec.encode(found) == codec.encode(value)
    exact = (
        units.convert(value, own, to=str(unit), dimension=one) for one in units.known().get(own, ())
    )
    return Fraction(found) in exact


def unit_at(record: dict[str, Any], path: str) -> Any:
    return at(record, f"{path.rpartition('.')[0]}.unit")


def reckoned(record: dict[str, Any], path: str, value: Number) -> Fraction:
    """Return a factor of a dose in mg: kg of the patient, mg per kg, mL, mg per mL."""
    unit = str(unit_at(record, path))
    (dimension,) = units.known()[unit]
    found = units.convert(value, unit, to="kg" if dimension == "mass" else "", dimension=dimension)
    assert found is not None
    return found


def shown(unit: str) -> str:
    known = translating.the_set().units.units
    return known[unit].display if unit in known else unit


def with_another_zero(value: Any) -> Any:
    """Return a record in which each measure is written with one more zero: 72.5 as 72.50."""
    if isinstance(value, list):
        return [with_another_zero(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    changed = {key: with_another_zero(inner) for key, inner in value.items()}
    if is_number(value.get("value")) and "unit" in value:
        written = codec.encode(value["value"]).decode("utf-8")
        changed["value"] = Decimal(f"{written}0" if "." in written else f"{written}.0")
    return changed
