from decimal import Decimal
from typing import Any

import pytest

from tests.translate.small_set import a_field, an_object, evaluate

THREE = an_object({"t": a_field("boolean"), "f": a_field("boolean"), "e": a_field("boolean")})
VALUES = {"t": True, "f": False}
T, F, E = True, False, None


@pytest.mark.parametrize(
    ("sign", "answers"),
    [
        # left is true, false, nothing; within each, right is true, false, nothing
        ("and", [T, F, E, F, F, F, E, F, E]),
        ("or", [T, T, T, T, F, E, T, E, E]),
        ("xor", [F, T, E, T, F, E, E, E, E]),
        ("implies", [T, F, E, T, T, T, T, E, E]),
    ],
)
def test_logic_has_three_values(sign: str, answers: list[bool | None]) -> None:
    found = [evaluate(f"{a} {sign} {b}", VALUES, THREE) for a in "tfe" for b in "tfe"]

    assert found == answers


@pytest.mark.parametrize(("name", "answer"), [("t", False), ("f", True), ("e", None)])
def test_not_of_nothing_is_nothing(name: str, answer: object) -> None:
    assert evaluate(f"not({name})", VALUES, THREE) is answer
    assert evaluate(f"{name}.not()", VALUES, THREE) is answer


SIMPLE = an_object(
    {
        "n": a_field("integer"),
        "d": a_field("decimal"),
        "s": a_field("string"),
        "absent": a_field("decimal"),
        "word": a_field("string"),
        "at": a_field("dateTime"),
        "until": a_field("dateTime"),
        "day": a_field("date"),
        "year": a_field("partialDate"),
    }
)
RECORD: dict[str, Any] = {
    "n": 7,
    "d": Decimal("2.50"),
    "s": "text",
    "at": "2026-03-02T09:00:00-05:00",
    "until": "2026-03-02T14:00:00Z",
    "day": "2026-03-02",
    "year": "2026",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n = 7", True),
        ("n = 7.00", True),
        ("d = 2.5", True),
        ("d != 2.5", False),
        ("n < d", False),
        ("n >= 7", True),
        ("s = 'text'", True),
        ("absent = 1", None),
        ("absent != 1", None),
        ("absent < 1", None),
        ("at = until", True),  # one moment, written in two zones
        ("at <= until", True),
        ("day = year", None),  # cannot be told apart
        ("year > day", None),
        ("n in (7 | 8)", True),
        ("absent in (7 | 8)", None),
        ("n in (8 | 9)", False),
        ("at in (until)", True),
        ("n + 1", 8),
        ("n - d", Decimal("4.50")),
        ("d * 2", Decimal("5.00")),
        ("n + absent", None),
        ("n div 2", 3),
        ("-n div 2", -3),
        ("n mod 2", 1),
        ("n div 0", None),
        ("(n / 0).round(1)", None),
        ("(n / 3).round(2)", Decimal("2.33")),
        ("-d", Decimal("-2.50")),
        ("s & '!'", "text!"),
        ("word & '!'", "!"),
        ("(1 | 2 | 1).count()", 2),
    ],
)
def test_operators_follow_fhirpath(text: str, value: object) -> None:
    assert evaluate(text, RECORD, SIMPLE) == value


def test_sums_and_products_are_exact_at_forty_digits() -> None:
    record = {"d": Decimal("1234567890123456789012345678901234567.891"), "n": 3}

    assert evaluate("d + 0.0001", record, SIMPLE) == Decimal(
        "1234567890123456789012345678901234567.8911"
    )
    assert str(evaluate("-d", record, SIMPLE)) == "-1234567890123456789012345678901234567.891"
