"""Synthetic pairs by seed: one of the clinic's patients, and what an EHR has that is like it.

What is true is known of each: which of the EHR's patients it is, or that it is none.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.matching.clinic import CLINIC, HOSPITAL

FAMILIES = (
    "Álvarez", "Müller", "O'Brien", "van der Berg", "Smith-Jones", "Nguyen", "Østergård",
    "García Márquez", "Łukasz", "Weiß", "D'Angelo", "Kim",
)  # fmt: skip
GIVEN = ("Anna", "José", "Maria", "John", "Zoë", "Liam", "Chloé", "Noah", "Ida", "Björn")
OTHERS = "urn:oid:2.16.840.1.113883.19.88"  # numbers of somebody else's

Patient = dict[str, Any]
Grades = list[tuple[str, str]]  # of a $match: the EHR's id and the grade


@dataclass
class Pair:
    """`truth`: the EHR's id, or "". `certain`: number and names agree, so it has to be linked."""

    kind: str
    ours: Patient
    there: list[Patient]
    truth: str
    certain: bool = False
    grades: Grades = field(default_factory=list)


class Invention:
    """Everything that a seed decides."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.prefix = f"p{seed}-"
        self._numbers = 0

    def number(self) -> str:
        self._numbers += 1
        return f"SYN-{self.prefix}{self._numbers}"

    def person(self, number: str, *, system: str = CLINIC, **parts: Any) -> Patient:
        born = f"{self.random.randint(1940, 2004)}-{self.random.randint(1, 12):02}"
        return {
            "resourceType": "Patient",
            "identifier": [{"system": system, "value": number}],
            "active": True,
            "name": [
                {
                    "family": self.random.choice(FAMILIES),
                    "given": [self.random.choice(GIVEN)],
                }
            ],
            "birthDate": f"{born}-{self.random.randint(1, 28):02}",
            **parts,
        }

    def chart(self, of: Patient, own: str, number: str, **parts: Any) -> Patient:
        """The EHR's patient with the same name and birth date."""
        numbers = [{"system": HOSPITAL, "value": number}] if number else []
        return {**of, "id": f"{self.prefix}{own}", "identifier": numbers, **parts}

    def other_given(self, of: Patient) -> list[Patient]:
        known = of["name"][0]["given"][0]
        new = self.random.choice([one for one in GIVEN if one != known])
        return [{**of["name"][0], "given": [new]}]


def name(of: Patient, **parts: Any) -> list[Patient]:
    return [{**of["name"][0], **parts}]


def plain(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    return Pair("plain", ours, [i.chart(ours, "a", n)], f"{i.prefix}a", certain=True)


def written_otherwise(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    family = ours["name"][0]["family"]
    ways: tuple[Callable[[str], str], ...] = (
        str.upper, str.lower, lambda s: s.replace(" ", "-"), lambda s: s.replace("-", " "),
        lambda s: s.replace("ü", "ue"), lambda s: s.replace("Á", "A").replace("á", "a"),
        lambda s: s.replace("'", "\u2019"), lambda s: s.replace(" ", ""),
    )  # fmt: skip
    there = i.chart(ours, "a", n, name=name(ours, family=i.random.choice(ways)(family)))
    return Pair("written otherwise", ours, [there], f"{i.prefix}a", certain=True)


def more_given_names(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    given = [*ours["name"][0]["given"], "Q."]
    there = i.chart(ours, "a", n, name=name(ours, given=given))
    return Pair("more given names", ours, [there], f"{i.prefix}a", certain=True)


def married(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    new = {**ours["name"][0], "family": "Newlywed", "use": "official"}
    there = i.chart(ours, "a", n, name=[new, {**ours["name"][0], "use": "maiden"}])
    return Pair("changed family name, former kept", ours, [there], f"{i.prefix}a", certain=True)


def renamed(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    there = i.chart(ours, "a", n, name=name(ours, family="Newlywed"))
    return Pair("changed family name", ours, [there], f"{i.prefix}a")


def twins(i: Invention) -> Pair:
    n, other = i.number(), i.number()
    ours = i.person(n)
    twin = i.chart(ours, "twin", other, name=i.other_given(ours))
    there = [i.chart(ours, "a", n), twin]
    return Pair("twins", ours, there, f"{i.prefix}a", certain=True)


def twins_number(i: Invention) -> Pair:
    """The clinic wrote down the number of the twin."""
    n, other = i.number(), i.number()
    ours = i.person(other)
    twin = i.chart(ours, "twin", other, name=i.other_given(ours))
    there = [i.chart(ours, "a", n), twin]
    grades = [(f"{i.prefix}twin", "certain")]
    return Pair("the twin's number", ours, there, f"{i.prefix}a", grades=grades)


def lone_twin(i: Invention) -> Pair:
    """Only the twin is there, and the EHR's own $match takes that one."""
    ours = i.person(i.number(), identifier=[])
    twin = i.chart(ours, "twin", i.number(), name=i.other_given(ours))
    return Pair("the twin alone", ours, [twin], "", grades=[(f"{i.prefix}twin", "certain")])


def mistyped(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n + "X")
    return Pair("a typo in the number", ours, [i.chart(ours, "a", n)], f"{i.prefix}a")


def strangers_number(i: Invention) -> Pair:
    """A typo in the number, and just that one is somebody's; or a number that was used again."""
    n = i.number()
    ours, stranger = i.person(n), i.person(n)
    stranger["name"] = [{"family": "Stranger", "given": stranger["name"][0]["given"]}]
    return Pair("a stranger's number", ours, [i.chart(stranger, "s", n)], "")


def typo_in_the_date(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n, birthDate="1980-03-12")
    there = i.chart(ours, "a", n, birthDate="1980-12-03")
    return Pair("a typo in the birth date", ours, [there], f"{i.prefix}a")


def swapped(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    one = ours["name"][0]
    there = i.chart(ours, "a", n, name=[{"family": one["given"][0], "given": [one["family"]]}])
    return Pair("swapped names", ours, [there], f"{i.prefix}a")


def newborns(i: Invention) -> Pair:
    """Twins without names yet; the numbers were mixed up."""
    n, other = i.number(), i.number()
    ours = i.person(other)
    ours["name"] = name(ours, given=["Baby Boy A"])
    there = [
        i.chart(ours, "a", n, name=name(ours, given=["Babyboy"])),
        i.chart(ours, "b", other, name=name(ours, given=["Baby boy"])),
    ]
    return Pair("newborns", ours, there, f"{i.prefix}a", grades=[(f"{i.prefix}b", "certain")])


def namesakes(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    there = [i.chart(ours, "a", n), i.chart(ours, "same", i.number())]
    return Pair("same name and birth date", ours, there, f"{i.prefix}a", certain=True)


def lone_namesake(i: Invention) -> Pair:
    """Only somebody else of that name and birth date is there, and $match takes that one."""
    ours = i.person(i.number())
    there = i.chart(ours, "same", i.number())
    grades = [(f"{i.prefix}same", "certain")]
    return Pair("a namesake alone", ours, [there], "", grades=grades)


def another_assigner(i: Invention) -> Pair:
    """Somebody else has the same number, from another assigner; our own number is not known."""
    n = i.number()
    ours = i.person(n, system=OTHERS)
    stranger = i.person(n)
    return Pair("a number of another assigner", ours, [i.chart(stranger, "s", n)], "")


def merged(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    left = i.chart(ours, "left", i.number())
    link = [{"type": "replaced-by", "other": {"reference": f"Patient/{left['id']}"}}]
    there = [left, i.chart(ours, "a", n, active=False, link=link)]
    return Pair("merged", ours, there, left["id"], certain=True)


def merged_wrongly(i: Invention) -> Pair:
    """The EHR merged ours into somebody else."""
    n = i.number()
    ours, stranger = i.person(n), i.person(n)
    stranger["name"] = [{"family": "Stranger", "given": ["Else"]}]
    left = i.chart(stranger, "left", i.number())
    link = [{"type": "replaced-by", "other": {"reference": f"Patient/{left['id']}"}}]
    return Pair("merged wrongly", ours, [left, i.chart(ours, "a", n, active=False, link=link)], "")


def dead(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    there = i.chart(ours, "a", n, deceasedDateTime="2025-01-01")
    return Pair("dead before the visit", ours, [there], "")


def doubled(i: Invention) -> Pair:
    n = i.number()
    ours = i.person(n)
    there = [i.chart(ours, "a", n), i.chart(ours, "b", n)]
    return Pair("two charts", ours, there, "")


def by_match(i: Invention) -> Pair:
    ours = i.person(i.number(), identifier=[])
    grades = [(f"{i.prefix}a", "certain"), (f"{i.prefix}b", "possible")]
    there = [i.chart(ours, "a", i.number()), i.chart(ours, "b", "", birthDate="1999-01-01")]
    return Pair("by $match", ours, there, f"{i.prefix}a", grades=grades)


KINDS = (
    plain, plain, plain, plain, written_otherwise, written_otherwise, more_given_names, married,
    renamed, twins, twins_number, lone_twin, mistyped, strangers_number, typo_in_the_date, swapped,
    newborns, namesakes, lone_namesake, another_assigner, merged, merged_wrongly, dead, doubled,
    by_match,
)  # fmt: skip


def a_pair(seed: int) -> Pair:
    """The pair of one seed; every kind comes in turn."""
    return KINDS[seed % len(KINDS)](Invention(seed))
