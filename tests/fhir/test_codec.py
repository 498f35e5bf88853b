"""Strict JSON that loses nothing: what is refused, what is kept, and how long reading takes."""

import json
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirbridge.fhir import codec
from fhirbridge.fhir.codec import NotJsonError

SECRET = "Zq-Rosalind"

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
numbers = st.decimals(
    min_value=-(10**9), max_value=10**9, places=4, allow_nan=False, allow_infinity=False
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "line 1, column 1"),
        (b"   ", "line 1, column"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"family": "\xe9"}', "not UTF-8 at byte 12"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'{"a": 1}\x00', "line 1, column 9"),
        (b'{"id": 1, "id": 2}', "the key 'id' twice"),
        (b'{"a": {"b": [{"c": 1, "c": 1}]}}', "the key 'c' twice"),
        (b'{"\\u0061": 1, "a": 2}', "the key 'a' twice"),
        (b"NaN", "NaN is not a JSON number"),
        (b'{"a": [Infinity]}', "Infinity is not"),
        (b"-Infinity", "-Infinity is not"),
        (b"1e999", "40 digits"),
        (b"1e-999", "40 digits"),
        (b"-1E+9999999999999999999999", "40 digits"),
        (b"1e99999999999999999999999999999999999999999", "40 digits"),
        (b"9" * 5000, "40 digits"),
        (b"0." + b"1" * 5000, "40 digits"),
        (b"[" * 65 + b"]" * 65, "deeper than 64"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
        (b"[" * 100_000, "deeper than 64"),
        (b'"\\ud800"', "half a surrogate"),
        (b'{"\\udc00": 1}', "half a surrogate"),
        (b'["\\udc00\\ud800"]', "half a surrogate"),
        (b'{"a": ["b\\u0000"]}', "U+0000"),
        (b'{"a\\u0000": 1}', "U+0000"),
        (b'"a\x00b"', "line 1, column"),
        (b'"a\nb"', "line 1, column"),
        (b'{"a": 1} {"b": 2}', "line 1, column 10"),
        (b'{"a": 1}x', "line 1, column 9"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": 1,}', "line 1, column"),
        (b"[1,]", "line 1, column"),
        (b'{"a"}', "line 1, column"),
        (b"// no\n1", "line 1, column 1"),
        (b"01", "line 1, column 2"),
        (b"+1", "line 1, column 1"),
        (b".5", "line 1, column 1"),
        (b"5.", "line 1, column 2"),
        (b"0x10", "line 1, column 2"),
        (b"True", "line 1, column 1"),
        (b'"open', "line 1, column 1"),
        (b"{]", "line 1, column 2"),
        (b"\xc2\xa01", "line 1, column 1"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_place(raw: bytes, told: str) -> None:
    with pytest.raises(NotJsonError) as refused:
        codec.decode(raw)

    assert told in refused.value.message
    assert refused.value.http_status == 400


@pytest.mark.parametrize(
    "raw",
    [
        f'{{"family": "{SECRET}", "family": 1}}',
        f'{{"{SECRET}": 1, "{SECRET}": 2}}',
        '{"Rosalind": 1, "Rosalind": 2}',
        f'{{"family": "{SECRET}}}',
        f'{{"family": "{SECRET}" "given"}}',
        f"{{{SECRET}: 1}}",
        f'["{SECRET}\\ud800"]',
        f'["{SECRET}\\u0000"]',
        f'["\\x{SECRET}"]',
        f'"{SECRET}" 4711',
        f"{'[' * 70}{SECRET}",
        "4711" * 20,
        "0.4711e471",
    ],
)
def test_a_refusal_never_repeats_what_was_sent(raw: str) -> None:
    with pytest.raises(NotJsonError) as refused:
        codec.decode(raw.encode())

    told = f"{refused.value.message} {refused.value.hint}"
    assert not [part for part in ("Rosalind", "4711", "Zq") if part in told]


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"[" * 64 + b"]" * 64, None),
        (b'"' + b"[{" * 500 + b'"', "[{" * 500),
        (b'"a\\"[[[\\\\"', 'a"[[[\\'),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        ('"\u2028\u202e"'.encode(), "\u2028\u202e"),
        (b" \r\n\t1 ", 1),
        (b"-0", 0),
        (b"9" * 40, int("9" * 40)),
        (b'{"a": 1, "A": 2}', {"a": 1, "A": 2}),
        (b'{"": ""}', {"": ""}),
    ],
)
def test_what_only_looks_odd_is_read(raw: bytes, value: Any) -> None:
    read = codec.decode(raw)

    assert value is None or read == value


@pytest.mark.parametrize(
    "digits", ["72.50", "0.10", "0.000", "-0.5", "100.0", "0.00000001", "1234567890.123456789000"]
)
def test_a_decimal_comes_back_digit_for_digit(digits: str) -> None:
    raw = f'{{"value":{digits}}}'.encode()

    assert codec.encode(codec.decode(raw)) == raw
    assert codec.canonical(codec.decode(raw)) == raw


@pytest.mark.parametrize(
    ("written", "plain"),
    [("1e2", "100"), ("1.50E+1", "15.0"), ("25e-3", "0.025"), ("1E-20", "0." + "0" * 19 + "1")],
)
def test_an_exponent_is_written_out(written: str, plain: str) -> None:
    assert codec.encode(codec.decode(written.encode())) == plain.encode()


def test_a_float_is_refused_before_it_can_round_a_dose() -> None:
    with pytest.raises(TypeError):
        codec.encode({"dose": [0.1]})


def test_not_a_number_cannot_be_written() -> None:
    read_back = [codec.encode(Decimal(odd)) for odd in ("NaN", "Infinity")]

    for raw in read_back:
        with pytest.raises(NotJsonError):
            codec.decode(raw)


def test_text_stands_as_itself_and_needs_no_escapes() -> None:
    assert codec.encode({"name": "Zoë\n\u202e"}) == '{"name":"Zoë\\n\u202e"}'.encode()


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"y": 2, "x": 1}]}, True),
        ([1, 2], [2, 1], False),
        ({"a": Decimal("0.10")}, {"a": Decimal("0.1")}, False),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": None}, {}, False),
        ({"a": True}, {"a": 1}, False),
    ],
)
def test_the_hash_tells_content_from_order(one: Any, other: Any, *, equal: bool) -> None:
    assert (codec.content_hash(one) == codec.content_hash(other)) is equal


@settings(deadline=None)
@given(values)
def test_what_was_written_is_read_back_equal(value: Any) -> None:
    assert codec.decode(codec.encode(value)) == value
    assert codec.decode(codec.canonical(value)) == value


@settings(deadline=None)
@given(values)
def test_what_was_written_is_json_to_others_too(value: Any) -> None:
    assert json.loads(codec.encode(value), parse_float=Decimal) == value  # noqa: TID251


@settings(deadline=None)
@given(
    st.binary(max_size=60)
    | st.text('[]{}",:\\ 0123456789.eE+-truefalsn', max_size=60).map(str.encode)
)
def test_any_bytes_are_read_or_refused_and_what_is_read_can_be_sent_on(raw: bytes) -> None:
    try:
        value = codec.decode(raw)
    except NotJsonError:
        return

    assert codec.encode(codec.decode(codec.encode(value))) == codec.encode(value)


@settings(deadline=None)
@given(st.dictionaries(texts, values, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_never_changes_the_hash(value: dict[str, Any], chance: Any) -> None:
    names = list(value)
    chance.shuffle(names)

    assert codec.content_hash({name: value[name] for name in names}) == codec.content_hash(value)


HOSTILE: dict[str, Callable[[int], str]] = {
    "an unterminated string": lambda size: '"' + "a" * size,
    "an unterminated string of backslashes": lambda size: '"' + "\\" * size,
    "an unterminated string of escapes": lambda size: '"' + "\\a" * (size // 2),
    "quotes alone": lambda size: '"' * size,
    "odd quotes": lambda size: '"' * (size - 1 + size % 2),
    "escaped quotes": lambda size: '\\"' * (size // 2),
    "one string of escaped quotes": lambda size: '"' + '\\"' * (size // 2) + '"',
    "a string of brackets": lambda size: '"' + "[{" * (size // 2) + '"',
    "closed brackets": lambda size: "[" + "[]," * (size // 3) + "1]",
    "closing brackets": lambda size: "]" * size,
    "strings of one character": lambda size: "[" + '"a",' * (size // 4) + "1]",
    "line ends in a string": lambda size: '"' + "\n" * size,
    "all of it": lambda size: '"[\\"{' * (size // 5),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_two_megabytes_meant_to_stall_the_scan_are_looked_at_once(
    make: Callable[[int], str],
) -> None:
    text = make(200_000)

    # Each token begins where the one before ended or later; their total length is the work done.
    steps = sum(len(token.group()) for token in codec.UP_TO_BRACKET.finditer(text))

    assert steps <= len(text)
    with suppress(NotJsonError):
        codec.decode(make(2_000_000).encode())


def test_an_unterminated_string_is_one_token_so_that_no_second_start_is_tried() -> None:
    text = '"' + '\\"[' * 1000

    tokens = [token.group() for token in codec.UP_TO_BRACKET.finditer(text)]

    assert tokens == [text, ""]  # and the end
