"""Names are compared as a registrar reads them. Synthetic persons, all of them."""

from typing import Any

import pytest

from fhirbridge.matching import person


def named(family: str = "Doe", *given: str, **parts: Any) -> person.Person:
    names = [{"family": family, "given": list(given or ("Ann",))}]
    return person.read({"resourceType": "Patient", "name": names, **parts})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Smith-Jones", "SMITH JONES"),
        ("van der Berg", "Vanderberg"),
        ("O'Brien", "O\u2019BRIEN"),
        ("Álvarez", "alvarez"),
        ("A\u0301lvarez", "Álvarez"),  # composed in another way
        ("Müller", "Mueller"),
        ("Müller", "Muller"),
        ("Weiß", "WEISS"),
        ("Østergård", "ostergard"),
        ("Łukasz", "Lukasz"),
    ],
)
def test_what_says_nothing_makes_no_other_family_name(one: str, other: str) -> None:
    assert person.same_family(named(one), named(other))


@pytest.mark.parametrize(
    ("one", "other"), [("García", "García Márquez"), ("Smith", "Smyth"), ("", ""), ("-", "'")]
)
def test_another_family_name_is_another_one_and_none_is_like_no_other(one: str, other: str) -> None:
    assert not person.same_family(named(one), named(other))


def test_a_former_name_counts_and_a_nickname_does_not() -> None:
    both = [{"family": "New", "use": "official"}, {"family": "Old", "use": "maiden"}]
    nick = [{"family": "New"}, {"family": "Old", "use": "nickname"}]

    assert person.same_family(named("Old"), person.read({"name": both}))
    assert not person.same_family(named("Old"), person.read({"name": nick}))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("Ann",), ("ANN",), True),
        (("Ann",), ("Ann", "Mary"), True),
        (("Ann", "M."), ("Ann", "Mary"), True),
        (("Ann Mary",), ("Ann", "Mary"), True),
        (("Ann", "K."), ("Ann", "Mary"), False),
        (("Ann", "Louise"), ("Ann", "Mary"), False),  # twins are named so
        (("A",), ("Ann",), False),
        (("A",), ("A",), False),
        (("Ann",), ("Anna",), False),
        (("Baby Boy A",), ("Baby Boy A",), False),
        (("Babygirl",), ("Babygirl",), False),
    ],
)
def test_given_names_agree_or_they_prove_nothing(
    one: tuple[str, ...], other: tuple[str, ...], *, same: bool
) -> None:
    assert person.same_given(named("Doe", *one), named("Doe", *other)) is same
    assert person.same_given(named("Doe", *other), named("Doe", *one)) is same


@pytest.mark.parametrize("date", ["1984", "1984-06", "1984-13-01", "1984-06-11T00:00:00Z", 7, None])
def test_a_birth_date_is_a_whole_date_or_none(date: object) -> None:
    assert named(birthDate=date).birth_date == ""


NONSENSE: list[dict[str, Any]] = [
    {},
    {"name": None, "identifier": {}, "birthDate": []},
    {"name": ["x", {"family": 3, "given": "Ann"}], "identifier": ["x", {"system": 1}]},
    {"identifier": [{"system": "s", "value": " "}]},
]


@pytest.mark.parametrize("body", NONSENSE)
def test_what_makes_no_sense_tells_nothing(body: dict[str, Any]) -> None:
    read = person.read(body)

    assert (read.families, read.given, read.identifiers) == (frozenset(), (), frozenset())


def test_a_number_that_ended_is_a_former_one() -> None:
    numbers = [
        {"system": "s", "value": "1"},
        {"system": "s", "value": "2", "use": "old"},
        {"system": "s", "value": "3", "period": {"end": "2020-01-01"}},
    ]
    read = named(identifier=numbers)

    assert read.identifiers == {("s", "1")}
    assert read.former == {("s", "2"), ("s", "3")}
