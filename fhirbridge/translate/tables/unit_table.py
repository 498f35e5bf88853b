"""units.yaml.

Units of the record and their UCUM codes; conversion by the vocabulary's exact factors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from fhirbridge.fhir import codec
from fhirbridge.records import vocabulary
from fhirbridge.translate.faults import FaultError, Faults, Place, a, suggest
from fhirbridge.translate.frame import RefusedError
from fhirbridge.translate.tables.code_table import CodeTable, refuse_keys
from fhirbridge.translate.yaml_tree import Fields, Node, Sequence, fields_of, text_of

_KEYS = ("code", "display", "dimension", "source", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    code: str
    display: str
    dimensions: tuple[str, ...]  # mL/min may be the rate of an infusion or of a gas


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitTable:
    system: str  # the URL of UCUM
    units: Mapping[str, Unit]

    def check(self, name: str, place: Place, *, dimension: str = "") -> None:
        """Raise FaultError E301 where units.yaml has no such unit, or it measures another thing."""
        if name not in self.units:
            message = f"unit '{name}' is not in units.yaml{suggest(name, self.units)}"
            raise FaultError("E301", place, message, needs="units.yaml")
        if dimension and dimension not in self.units[name].dimensions:
            found = " and ".join(self.units[name].dimensions)
            raise FaultError("E301", place, f"unit '{name}' is {a(found)}, not {a(dimension)}")

    def quantity(self, value: Decimal | int, name: str) -> dict[str, Any]:
        """Return a FHIR Quantity. Raises RefusedError where the unit is unknown."""
        unit = self.units.get(name)
        if unit is None:
            raise RefusedError("E406", "the unit is not in units.yaml")
        shown = {"unit": unit.display} if unit.display else {}
        value = Decimal(codec.plain(value)) if isinstance(value, Decimal) else value
        return {"value": value, **shown, "system": self.system, "code": unit.code}

    def convert(self, value: Decimal, name: str, wanted: str) -> Decimal:
        """Return the value in another unit. Raises RefusedError where that is not exact."""
        if name == wanted:
            return value
        times, plus = self.scale(name, wanted)
        return _exact(Fraction(value) * times + plus, wanted)

    def scale(self, name: str, wanted: str) -> tuple[Fraction, Fraction]:
        """Return by what a value is multiplied, and what is added, to have it in another unit.

        Raises RefusedError where no dimension is shared.
        """
        scales, others = _scales(name, self.units), _scales(wanted, self.units)
        shared = next((dimension for dimension in scales if dimension in others), None)
        if shared is None:
            raise RefusedError("E407", f"the unit cannot be converted to '{wanted}'")
        (factor, offset), (own, start) = scales[shared], others[shared]
        return factor / own, start - offset * factor / own


def load(tree: Fields, codes: CodeTable, faults: Faults) -> UnitTable:
    """Read units.yaml; what is misshapen is noted in `faults` and left out."""
    units: dict[str, Unit] = {}
    system = ""
    refuse_keys(tree, ("system", "units"), faults)
    with faults.caught():
        alias_node = tree.items.get("system")
        alias = text_of(alias_node, "'system'", tree.place, code="E303") if alias_node else "ucum"
        system = codes.system(alias, alias_node.place if alias_node else tree.place).url
    with faults.caught():
        listed = fields_of(tree.items.get("units"), "'units'", tree.place, code="E303")
        for name, node in listed.items.items():
            with faults.caught():
                units[name] = _unit(name, node, faults)
    return UnitTable(system=system, units=units)


def _unit(name: str, node: Node, faults: Faults) -> Unit:
    fields = fields_of(node, f"unit '{name}'", node.place, code="E303")
    refuse_keys(fields, _KEYS, faults)
    code = text_of(fields.items.get("code"), f"'code' of '{name}'", fields.place, code="E303")
    given = fields.items.get("dimension")
    listed = given.items if isinstance(given, Sequence) else (given,)
    what = f"'dimension' of '{name}'"
    dimensions = tuple(text_of(item, what, fields.place, code="E303") for item in listed)
    _check_known(name, dimensions, node.place)
    shown = fields.items.get("display")
    display = text_of(shown, f"'display' of '{name}'", fields.place, code="E303") if shown else ""
    if "note" not in fields.items:
        _check_code(name, code, dimensions, fields.items["code"].place)
    return Unit(code=code, display=display, dimensions=dimensions)


def _check_known(name: str, dimensions: tuple[str, ...], place: Place) -> None:
    """Refuse a unit that no record can have, or of a dimension that it does not measure."""
    known = vocabulary.read("vocabulary.json")["units"]
    for dimension in dimensions:
        if dimension not in known:
            message = f"the record has no dimension '{dimension}'{suggest(dimension, known)}"
            raise FaultError("E301", place, message)
        units = known[dimension]["units"]
        if name not in units:
            message = f"the record has no unit '{name}' of {dimension}{suggest(name, units)}"
            raise FaultError("E301", place, message)


def _check_code(name: str, code: str, dimensions: tuple[str, ...], place: Place) -> None:
    """Refuse a code that is no name of this very unit: one wrong letter may make another of it.

    UCUM's own spelling of another name (`[degF]`) needs a note, so that somebody looked it up.
    """
    known = vocabulary.read("vocabulary.json")["units"]
    same = [
        other
        for dimension in dimensions
        for other, entry in known[dimension]["units"].items()
        if entry == known[dimension]["units"][name] and "times" in entry
    ]
    if code not in (name, *same, f"{{{name}}}"):
        message = f"'{code}' is not '{name}'; if UCUM calls it so, say so in a note"
        raise FaultError("E303", place, message)


def names_in(dimensions: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield (dimension.

    Unit) for each unit that the record takes for a measure of these dimensions.
    """
    known = vocabulary.read("vocabulary.json")["units"]
    for dimension in dimensions:
        for name in known.get(dimension, {}).get("units", {}):
            yield dimension, name


def _scales(name: str, units: Mapping[str, Unit]) -> dict[str, tuple[Fraction, Fraction]]:
    """Return factor to the base and offset of a unit in each of its dimensions.

    None for what only counts.
    """
    found: dict[str, tuple[Fraction, Fraction]] = {}
    known = vocabulary.read("vocabulary.json")["units"]
    for dimension in units[name].dimensions if name in units else ():
        entry = known.get(dimension, {}).get("units", {}).get(name, {})
        if "times" in entry:
            factor = Fraction(entry["times"]) / Fraction(entry.get("over", 1))
            found[dimension] = factor, Fraction(entry.get("minus", 0))
    return found


def is_finite(number: Fraction) -> bool:
    """Tell whether a fraction can be written as a decimal."""
    return _without(5, _without(2, number.denominator)[0])[0] == 1


def _without(factor: int, number: int) -> tuple[int, int]:
    """Divide as often as that leaves no rest; return what is left, and how often."""
    times = 0
    while number % factor == 0:
        number, times = number // factor, times + 1
    return number, times


def _exact(number: Fraction, wanted: str) -> Decimal:
    """Write a fraction as a decimal, where that is exact."""
    rest, twos = _without(2, number.denominator)
    rest, fives = _without(5, rest)
    if rest != 1:
        raise RefusedError("E407", f"the value has no exact form in '{wanted}'")
    places = max(twos, fives)
    digits = number.numerator * 10**places // number.denominator
    sign, text = ("-" if digits < 0 else ""), str(abs(digits)).rjust(places + 1, "0")
    return Decimal(f"{sign}{text[:-places]}.{text[-places:]}" if places else f"{sign}{text}")
