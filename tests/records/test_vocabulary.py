from decimal import Decimal
from fractions import Fraction

import pytest

from fhirbridge.records import units, vocabulary

TABLES = [name for name in vocabulary.read("vocabulary.json") if name != "units"]


@pytest.mark.parametrize("table", TABLES)
def test_the_words_of_a_table_are_plain_and_stand_once(table: str) -> None:
    words = vocabulary.keys(table)

    assert len(words) == len(set(words))
    assert all(word == word.lower() and " " not in word for word in words)


@pytest.mark.parametrize(
    ("value", "unit", "to", "dimension", "expected"),
    [
        (165, "lb", "kg", "mass", Fraction("74.84274105")),
        (Decimal("98.6"), "degF", "Cel", "temperature", Fraction(37)),
        (37, "Cel", "degF", "temperature", Fraction("98.6")),
        (Decimal("12.5"), "ug/kg/min", "mg/kg/h", "mass-rate-per-weight", Fraction("0.75")),
        (Decimal("12.5"), "mcg/kg/min", "ug/kg/h", "mass-rate-per-weight", Fraction(750)),
        (24, "mg/d", "mg/h", "mass-rate", Fraction(1)),
        (1, "in", "cm", "length", Fraction("2.54")),
        (2, "h", "min", "time", Fraction(120)),
        (101325, "kPa", "mmHg", "pressure", Fraction(101325 * 10**12, 133322387415)),
    ],
)
def test_units_convert_exactly(
    value: int | Decimal, unit: str, to: str, dimension: str, expected: Fraction
) -> None:
    assert units.convert(value, unit, to=to, dimension=dimension) == expected


@pytest.mark.parametrize(
    ("unit", "dimension"), [("spray", "count"), ("mg", "volume"), ("x", "mass")]
)
def test_what_cannot_be_converted_is_nothing(unit: str, dimension: str) -> None:
    assert units.measured({"value": 1, "unit": unit}, dimension) is None


def test_every_unit_goes_to_its_base_and_back() -> None:
    for dimension, group in vocabulary.read("vocabulary.json")["units"].items():
        for unit, rule in group["units"].items():
            base = units.convert(7, unit, dimension=dimension)
            assert (base is None) == (rule == {})
            if base is not None:
                scale = Decimal(base.numerator) / base.denominator
                back = units.convert(scale, group["base"], to=unit, dimension=dimension)
                assert back == pytest.approx(7)


def test_every_instrument_with_limits_is_in_the_vocabulary_and_has_a_source() -> None:
    limits = vocabulary.read("instruments.json")

    assert set(limits) <= set(vocabulary.keys("instrument"))
    assert all(one["source"] and one["min"] < one["max"] for one in limits.values())


def test_every_dose_bound_is_about_known_words_and_has_a_source() -> None:
    for bounds in vocabulary.read("bounds.json")["doses"]:
        assert bounds["drug"] in vocabulary.keys("drug")
        assert set(bounds["routes"]) <= set(vocabulary.keys("route"))
        assert bounds["source"]
        assert bounds["least"] < bounds["most"]


def test_what_is_usual_is_possible() -> None:
    for bounds in vocabulary.read("bounds.json")["vitals"].values():
        assert bounds["possible"][0] <= bounds["usual"][0] < bounds["usual"][1]
        assert bounds["usual"][1] <= bounds["possible"][1]
