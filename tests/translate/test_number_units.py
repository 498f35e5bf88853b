"""A number that a mapping says to be in one unit is never sent in another."""

from pathlib import Path

import pytest

from fhirbridge.translate.expressions import number_units
from fhirbridge.translate.source_types import Type
from tests.translate.small_set import changed, faults

WEIGHT = "resources/weight.yaml"
IN_KG = "iif(r.weight.unit = 'kg', r.weight.value)"


def said_of(folder: Path, value: str) -> list[str]:
    """The mistakes in the value of the weight."""
    found = faults(folder, changed(WEIGHT, "= quantity(r.weight)", f'"= {value}"'))
    return [fault.partition(" mappings/")[0] + fault.partition(":20:")[2][2:] for fault in found]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (f"quantity({IN_KG}, 'g')", "this number is in 'kg', not in 'g'"),
        ("quantity(convert(r.weight.value, 'lb', 'kg'), 'g')",
         "this number is in 'kg', not in 'g'"),
        (f"quantity(convert({IN_KG}, 'lb', 'g'), 'g')", "this number is in 'kg', not in 'lb'"),
        (f"quantity(coalesce({IN_KG}, convert(1, 'lb', 'g')), 'g')",
         "the branches are in 'kg' and in 'g'; convert() one of them"),
    ],
)  # fmt: skip
def test_a_number_in_another_unit_than_it_is_said_to_be_is_a_mistake(
    tmp_path: Path, value: str, said: str
) -> None:
    assert said_of(tmp_path, value) == [f"E301 {said}"]


@pytest.mark.parametrize(
    "value",
    [
        f"quantity({IN_KG}, 'kg')",
        f"quantity(convert({IN_KG}, 'kg', 'g'), 'g')",
        f"quantity(coalesce({IN_KG}, convert(1, 'lb', 'kg')), 'kg')",
        "quantity(r.score, 'kg')",
        f"quantity(coalesce({IN_KG}, r.weight.value), 'g')",
    ],
)
def test_what_is_right_or_not_known_is_not_judged(tmp_path: Path, value: str) -> None:
    assert said_of(tmp_path, value) == []


@pytest.mark.parametrize(
    ("left", "right", "made"),
    [
        ("mg/kg", "kg", "mg"),
        ("kg", "mg/kg", "mg"),
        ("mg/kg", "g", ""),
        ("mg", "", ""),
        ("", "", ""),
    ],
)
def test_what_is_for_each_kilogram_loses_the_kilogram_by_a_weight(
    left: str, right: str, made: str
) -> None:
    kinds = [Type(kind="decimal", unit=unit) for unit in (left, right)]

    assert number_units.of_product(*kinds) == made
