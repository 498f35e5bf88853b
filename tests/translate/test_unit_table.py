from decimal import Decimal

import pytest

from fhirbridge.translate.frame import RefusedError
from fhirbridge.translate.tables.unit_table import Unit, UnitTable

TABLE = UnitTable(
    system="http://unitsofmeasure.org",
    units={
        "kg": Unit(code="kg", display="kg", dimensions=("mass",)),
        "g": Unit(code="g", display="g", dimensions=("mass",)),
        "mg": Unit(code="mg", display="mg", dimensions=("mass",)),
        "ug": Unit(code="ug", display="µg", dimensions=("mass",)),
        "lb": Unit(code="[lb_av]", display="lb", dimensions=("mass",)),
        "Cel": Unit(code="Cel", display="°C", dimensions=("temperature",)),
        "degF": Unit(code="[degF]", display="°F", dimensions=("temperature",)),
        "mL/min": Unit(code="mL/min", display="mL/min", dimensions=("volume-rate", "gas-flow")),
        "L/min": Unit(code="L/min", display="L/min", dimensions=("gas-flow",)),
        "mL/h": Unit(code="mL/h", display="mL/h", dimensions=("volume-rate",)),
        "spray": Unit(code="{spray}", display="", dimensions=("count",)),
    },
)


def test_a_quantity_keeps_the_digits_of_its_value() -> None:
    assert TABLE.quantity(Decimal("72.50"), "kg") == {
        "value": Decimal("72.50"),
        "unit": "kg",
        "system": "http://unitsofmeasure.org",
        "code": "kg",
    }


def test_a_quantity_has_no_exponent() -> None:
    assert str(TABLE.quantity(Decimal("1E+2"), "kg")["value"]) == "100"


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "result"),
    [
        ("72.50", "kg", "kg", "72.50"),
        ("1.5", "g", "mg", "1500"),
        ("250", "ug", "mg", "0.25"),
        ("1", "lb", "kg", "0.45359237"),
        ("98.6", "degF", "Cel", "37"),
        ("37.0", "Cel", "degF", "98.6"),
        ("1500", "mL/min", "L/min", "1.5"),
        ("2", "mL/min", "mL/h", "120"),
        ("0", "g", "mg", "0"),
        ("-40", "Cel", "degF", "-40"),
    ],
)
def test_units_are_converted_exactly(value: str, unit: str, wanted: str, result: str) -> None:
    assert str(TABLE.convert(Decimal(value), unit, wanted)) == result


@pytest.mark.parametrize(
    ("value", "unit", "wanted"),
    [
        ("1", "kg", "lb"),  # no exact decimal
        ("99", "degF", "Cel"),
        ("1", "spray", "mg"),
        ("1", "kg", "Cel"),
        ("1", "kg", "stone"),
    ],
)
def test_what_cannot_be_converted_exactly_is_a_problem(value: str, unit: str, wanted: str) -> None:
    with pytest.raises(RefusedError) as caught:
        TABLE.convert(Decimal(value), unit, wanted)

    assert caught.value.code == "E407"


def test_an_unknown_unit_is_a_problem() -> None:
    with pytest.raises(RefusedError) as caught:
        TABLE.quantity(Decimal(1), "stone")

    assert caught.value.code == "E406"
