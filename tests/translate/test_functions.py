from decimal import Decimal
from typing import Any

import pytest

from tests.translate.small_set import a_field, a_list, an_object, evaluate, fault_of

ITEM = an_object({"number": a_field("integer"), "word": a_field("string")})
SOURCE = an_object(
    {
        "items": a_list(ITEM),
        "none": a_list(ITEM),
        "only": ITEM,
        "words": a_list(a_field("string")),
        "text": a_field("string"),
        "absent": a_field("string"),
        "d": a_field("decimal"),
        "n": a_field("integer"),
        "at": a_field("dateTime"),
        "yes": a_field("boolean"),
    }
)
RECORD: dict[str, Any] = {
    "items": [{"number": 1, "word": "a"}, {"number": 2}, {"number": 3, "word": "a"}],
    "only": {"number": 9, "word": "z"},
    "words": ["x", "y", "x"],
    "text": " Mixed Case ",
    "d": Decimal("2.50"),
    "n": 12,
    "at": "2026-03-02T23:30:00-05:00",
    "yes": True,
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("items.exists()", True),
        ("none.exists()", False),
        ("items.exists(number = 2)", True),
        ("items.exists(number = 5)", False),
        ("absent.exists()", False),
        ("none.empty()", True),
        ("text.empty()", False),
        ("items.count()", 3),
        ("absent.count()", 0),
        ("items.first().number", 1),
        ("items.last().number", 3),
        ("none.first().number", None),
        ("only.single().number", 9),
        ("items[1].number", 2),
        ("items[7].number", None),
        ("items.number", [1, 2, 3]),
        ("items.word", ["a", "a"]),
        ("items.where(number > 1).number", [2, 3]),
        ("items.where(word = 'a').number", [1, 3]),
        ("only.where(number = 9).word", "z"),
        ("only.where(number = 8).word", None),
        ("items.select(number * 2)", [2, 4, 6]),
        ("words.select($this & '!')", ["x!", "y!", "x!"]),
        ("items.all(number > 0)", True),
        ("items.all(number > 1)", False),
        ("none.all(number > 1)", True),
        ("words.distinct()", ["x", "y"]),
        ("iif(n = 12, 'a', 'b')", "a"),
        ("iif(absent = 'x', 'a', 'b')", "b"),
        ("iif(n = 1, 'a')", None),
        ("coalesce(absent, text)", " Mixed Case "),
        ("coalesce(absent, absent)", None),
        ("text.startsWith(' M')", True),
        ("text.contains('xed')", True),
        ("absent.contains('x')", None),
        ("text.matches('^ M')", True),
        ("text.replace(' ', '')", "MixedCase"),
        ("text.substring(1, 5)", "Mixed"),
        ("text.substring(7)", "Case "),
        ("text.substring(99)", None),
        ("text.lower()", " mixed case "),
        ("text.upper()", " MIXED CASE "),
        ("text.trim()", "Mixed Case"),
        ("text.trim().split(' ')", ["Mixed", "Case"]),
        ("words.join(', ')", "x, y, x"),
        ("words.join()", "xyx"),
        ("none.word.join(', ')", None),
        ("d.toString()", "2.50"),
        ("n.toString()", "12"),
        ("yes.toString()", "true"),
        ("'12'.toInteger()", 12),
        ("'x'.toInteger()", None),
        ("'2.50'.toDecimal()", Decimal("2.50")),
        ("'2,5'.toDecimal()", None),
        ("at.toDate()", "2026-03-02"),
        ("d.round(1)", Decimal("2.5")),
        ("d.round()", Decimal(3)),
        ("(0 - d).abs()", Decimal("2.50")),
    ],
)
def test_functions_give_what_fhirpath_says(text: str, value: object) -> None:
    assert evaluate(text, RECORD, SOURCE) == value


@pytest.mark.parametrize(
    ("text", "code", "column", "message"),
    [
        ("items.frist()", "E203", 7, "there is no function frist() here; did you mean 'first'?"),
        ("first(items)", "E203", 1, "there is no function first() here; it stands after a dot"),
        ("n.iif(1, 2)", "E203", 3, "there is no function iif() here; it stands without a dot"),
        ("items.where()", "E203", 7, "where() takes 1 argument(s)"),
        ("items.count(1)", "E203", 7, "count() takes no argument"),
        ("text.substring()", "E203", 6, "substring() takes 1 to 2 arguments"),
        ("coalesce()", "E203", 1, "coalesce() takes at least 1 argument(s)"),
        (
            "text.matches(text)",
            "E203",
            14,
            "matches() takes a text in quotes of at most 200 characters",
        ),
        ("text.matches('(')", "E203", 14, "not a pattern: missing ), unterminated subpattern"),
        ("d.round(n)", "E203", 3, "round() takes a whole number from 0 to 20"),
        ("items.where(number)", "E205", 13, "where() needs a yes or no, and this is an integer"),
        ("items.where(wrod = 'a')", "E202", 13, "source has no field wrod; did you mean 'word'?"),
        ("n.lower()", "E205", 3, "lower() needs a text, and n is an integer"),
        ("text.contains(n)", "E205", 15, "a text is needed here, and this is an integer"),
        ("n.toDate()", "E205", 3, "toDate() takes date, dateTime, and n is an integer"),
        (
            "iif(yes, n, text)",
            "E205",
            1,
            "the branches must be of one kind, not integer and string",
        ),
        ("items.join(',')", "E205", 7, "join() needs texts, and this is a list of object"),
    ],
)
def test_a_wrong_call_is_refused_at_load(text: str, code: str, column: int, message: str) -> None:
    assert str(fault_of(text, SOURCE)) == f"{code} mappings/x.yaml:1:{column} {message}"
