"""What tells one person from another, read from a FHIR Patient. Pure.

Names are compared as a registrar reads them: case, diacritics, hyphens, apostrophes and spaces say
nothing, and a former name counts like the present one.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

# What NFKD does not take apart. A German umlaut is also written with an e.
LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe"})
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
NO_NAMES = frozenset({"anonymous", "nickname"})  # uses of a name that prove nothing
# In place of a given name: a newborn's, before it has one, and what is written of the unknown.
NOBODYS = frozenset(
    {
        "baby", "babyboy", "babygirl", "bb", "bg", "newborn", "infant", "twin", "triplet",
        "unknown", "unnamed", "nn", "boy", "girl",
    }
)  # fmt: skip
SHOWN = (
    "id", "active", "name", "birthDate", "gender", "identifier", "deceasedBoolean",
    "deceasedDateTime", "link",
)  # fmt: skip
PARTS = re.compile(r"[\s\-\u2010-\u2015./]+")
FULL_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

Token = tuple[str, str]  # an identifier: system and value


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person, as far as a Patient tells. Everything in it is PHI."""

    birth_date: str  # a full date, or ""
    families: frozenset[str]  # of all names, each in every way in which it may be written
    given: tuple[frozenset[str], ...]  # of each name; none of a newborn without one
    identifiers: frozenset[Token]  # in use
    former: frozenset[Token]  # no more in use
    active: bool
    deceased: str  # "" lives, "yes", or a date, perhaps a partial one


def read(patient: Mapping[str, Any]) -> Person:
    """Read a Patient; what is not there, or makes no sense, is empty."""
    names = [one for one in _objects(patient.get("name")) if one.get("use") not in NO_NAMES]
    tokens = list(_tokens(patient))
    return Person(
        birth_date=full_date(patient.get("birthDate")),
        families=frozenset(form for one in names for form in written(one.get("family"))),
        given=tuple(found for one in names if (found := _given(one))),
        identifiers=frozenset(token for token, in_use in tokens if in_use),
        former=frozenset(token for token, in_use in tokens if not in_use),
        active=patient.get("active") is not False,
        deceased=_deceased(patient),
    )


def written(name: Any) -> frozenset[str]:
    """Return a name without all that says nothing; with two forms where it has an umlaut."""
    if not isinstance(name, str):
        return frozenset()
    composed = unicodedata.normalize("NFC", name).casefold()
    return frozenset(form for one in (composed, composed.translate(UMLAUTS)) if (form := bare(one)))


def bare(text: str) -> str:
    """Return the letters and digits alone, in lower case."""
    apart = unicodedata.normalize("NFKD", text.casefold()).translate(LETTERS)
    return "".join(one for one in apart if one.isalnum())


def same_family(one: Person, other: Person) -> bool:
    """Say whether they share a family name, present or former."""
    return not one.families.isdisjoint(other.families)


def same_given(one: Person, other: Person) -> bool:
    """Say whether the given names of one are among those of the other.

    Twins share all but these. An initial stands for a middle name only: alone it proves nothing.
    """
    return any(_fits(a, b) or _fits(b, a) for a in one.given for b in other.given)


def shown(patient: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a Patient a person needs to see who it is."""
    return {name: patient[name] for name in SHOWN if name in patient}


def _fits(few: frozenset[str], many: frozenset[str]) -> bool:
    whole = few & many
    rest = few - whole
    return bool({one for one in whole if len(one) > 1}) and all(
        any(_is_initial_of(one, other) for other in many - whole) for one in rest
    )


def _is_initial_of(one: str, other: str) -> bool:
    return 1 in (len(one), len(other)) and one[0] == other[0]


def _given(name: Mapping[str, Any]) -> frozenset[str]:
    """Return the given names, or none where one of them stands in the place of a name."""
    listed = name.get("given")
    texts = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    parts = frozenset(bare(part) for text in texts for part in PARTS.split(text)) - {""}
    return frozenset() if parts & NOBODYS else parts


def _tokens(patient: Mapping[str, Any]) -> Iterator[tuple[Token, bool]]:
    for one in _objects(patient.get("identifier")):
        system, value = one.get("system"), one.get("value")
        if isinstance(system, str) and isinstance(value, str) and value.strip():
            period = one.get("period")
            ended = isinstance(period, dict) and bool(period.get("end"))
            yield (system, value.strip()), one.get("use") != "old" and not ended


def _deceased(patient: Mapping[str, Any]) -> str:
    when = patient.get("deceasedDateTime")
    if isinstance(when, str) and when:
        return when
    return "yes" if patient.get("deceasedBoolean") is True else ""


def full_date(value: Any) -> str:
    """Return a date of R4 with year, month and day, or "" for anything else."""
    if not isinstance(value, str) or not FULL_DATE.fullmatch(value):
        return ""
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
