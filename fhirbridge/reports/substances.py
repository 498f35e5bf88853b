"""Which drugs are accounted for, and what an amount of one comes to: exact, or not known. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from fhirbridge.records import units, vocabulary
from fhirbridge.records.rules import given

# Accounted for wherever they are given; whatever else a stock document names is, too.
ALWAYS = frozenset({"ketamine", "esketamine", "arketamine", "midazolam", "lorazepam"})
MASS, VOLUME = "mg", "mL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much: in mg where that can be worked out, else in the unit that was written down."""

    value: Fraction
    unit: str


def name(coded: object) -> str:
    """Name a drug: its key, its code with the system, or its words."""
    if not isinstance(coded, Mapping):
        return ""
    if "key" in coded:
        return str(coded["key"])
    if "code" in coded:
        return f"{coded['system']}|{coded['code']}"
    return str(coded.get("text", ""))


def amount(measure: object, drug: str, strengths: Iterable[object] = ()) -> Amount | None:
    """Read an amount of a drug; None where no amount is written down.

    `strengths`: concentrations of what it was taken from; a volume is worked out where all agree.
    """
    mass = units.measured(measure, "mass")
    if mass is not None:
        return Amount(value=mass, unit=MASS)
    volume = units.measured(measure, "volume")
    if volume is not None:
        found = {units.measured(one, "concentration") for one in strengths} - {None}
        strength = found.pop() if len(found) == 1 else None
        if strength is None:
            return Amount(value=volume, unit=VOLUME)
        return Amount(value=volume * strength, unit=MASS)
    return _counted(measure, drug)


def dose(row: Mapping[str, Any], drug: str) -> Amount | None:
    """Return how much of a drug was given in one administration; None where nothing says it.

    `drug` is the product, or one of its ingredients.
    """
    if drug == name(row.get("drug")):
        mass = given.dose(row)
        if mass is not None:
            return Amount(value=mass, unit=MASS)
        supplies = [one.get("concentration") for one in row.get("supplies", ())]
        return amount(row.get("dose"), drug, supplies)
    (part,) = [one for one in row["ingredients"] if name(one.get("drug")) == drug]
    volume = units.measured(row.get("dose"), "volume")
    strength = units.measured(part.get("amount"), "concentration")
    if volume is None or strength is None:
        return None
    return Amount(value=volume * strength, unit=MASS)


def in_it(row: Mapping[str, Any], wanted: frozenset[str]) -> list[str]:
    """Return which of the drugs an administration is of: the product, else its ingredients."""
    product = name(row.get("drug"))
    if product in wanted:
        return [product]
    parts = [name(one.get("drug")) for one in row.get("ingredients", ())]
    return [one for one in parts if one in wanted and parts.count(one) == 1]


def _counted(measure: object, drug: str) -> Amount | None:
    if not isinstance(measure, Mapping) or not {"value", "unit"} <= measure.keys():
        return None
    value, unit = Fraction(measure["value"]), str(measure["unit"])
    rules = vocabulary.read("bounds.json")["esketamine"]
    if unit == "device" and drug == rules["drug"]:
        return Amount(value=value * Fraction(rules["device"]), unit=MASS)
    return Amount(value=value, unit=unit)
