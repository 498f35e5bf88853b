"""Units of the record: the dimensions of each, and exact conversion within one.

Data: vocabulary.json. A stored value is never converted; these numbers are for comparing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

from fhirbridge.records import vocabulary


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
    rules = _rules(dimension)
    given, wanted = rules.get(unit), rules.get(to)
    if given is None or wanted is None:
        return None
    return (Fraction(value) - given.zero) * given.factor / wanted.factor + wanted.zero


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """One unit as (value - zero) * factor of its base."""

    zero: Fraction
    factor: Fraction


@cache
def _rules(dimension: str) -> Mapping[str, _Rule]:
    """Return how each unit of a dimension is worked out; "" is the base. A mere count has none."""
    group = vocabulary.read("vocabulary.json")["units"][dimension]
    rules = {
        unit: _Rule(
            zero=Fraction(rule.get("minus", 0)),
            factor=Fraction(rule["times"]) / Fraction(rule.get("over", 1)),
        )
        for unit, rule in group["units"].items()
        if rule
    }
    return {**rules, "": rules[group["base"]]} if rules else rules
