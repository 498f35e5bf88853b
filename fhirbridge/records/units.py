"""Units of the record: the dimensions of each, and exact conversion within one.

Data: vocabulary.json. A stored value is never converted; these numbers are for comparing.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache

from fhirbridge.records import vocabulary
from fhirbridge.records.source import Json


@cache
def known() -> Mapping[str, tuple[str, ...]]:
    """Return each unit with the dimensions it may be of; "mL/min" is of a drug and of a gas."""
    found: dict[str, tuple[str, ...]] = {}
    for dimension, group in vocabulary.read("vocabulary.json")["units"].items():
        for unit in group["units"]:
            found[unit] = (*found.get(unit, ()), dimension)
    return found


def measured(measure: object, dimension: str, *, to: str = "") -> Fraction | None:
    """Read a measure in the base unit of its dimension, or in `to`.

    None where there is none, or one of another dimension, or a count that cannot be converted.
    """
    if not isinstance(measure, dict) or "value" not in measure or "unit" not in measure:
        return None
    return convert(measure["value"], measure["unit"], to=to, dimension=dimension)


def convert(value: int | Decimal, unit: str, *, to: str = "", dimension: str) -> Fraction | None:
    """Work a value out in the unit `to`, or in the base unit; None where that cannot be done."""
    group = vocabulary.read("vocabulary.json")["units"][dimension]
    given, wanted = (group["units"].get(name) for name in (unit, to or group["base"]))
    if not given or not wanted:
        return None
    in_base = (Fraction(value) - Fraction(given.get("minus", 0))) * _factor(given)
    return in_base / _factor(wanted) + Fraction(wanted.get("minus", 0))


def _factor(rule: Json) -> Fraction:
    return Fraction(rule["times"]) / Fraction(rule.get("over", 1))
