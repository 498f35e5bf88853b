"""Whether one of an EHR's patients is a patient of ours, for certain. Pure.

An identifier, or the EHR's own `$match`, says where to look; birth date, family name and given name
must then agree. What is not certain is held for a person, with every reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fhirbridge.matching import merges, person
from fhirbridge.matching.person import Person, Token

Bodies = Mapping[str, dict[str, Any]]


class How(StrEnum):
    """By what it was decided who a patient is."""

    IDENTIFIER = "identifier"  # one that clinic and EHR share
    MATCH = "match"  # the EHR's own $match, of the grade `certain`
    MERGE = "merge"  # the EHR made the linked patient part of this one
    PERSON = "person"


class Why(StrEnum):
    """Why a patient waits for a person; the values are stored and never change their meaning."""

    NOBODY = "nobody"
    SEVERAL = "several"
    NOT_OURS = "not-read"  # we have no Patient of ours to compare
    BIRTH_DATE = "birth-date"
    FAMILY = "family-name"
    GIVEN = "given-name"
    NUMBER = "number"  # the EHR knows this person under another number of the same kind
    FORMER = "former-number"
    INACTIVE = "inactive"
    DECEASED = "deceased"
    REJECTED = "rejected"
    GONE = "gone"
    MERGE = "merge"
    UNMERGED = "unmerged"
    CHANGED = "changed"
    TAKEN = "taken"
    BY_HAND = "by-hand"
    TO_BE_ASKED = "to-be-asked"


WORDS = {
    Why.NOBODY: "the EHR shows no such patient",
    Why.SEVERAL: "the EHR shows several patients who could be meant",
    Why.NOT_OURS: "no Patient was made of the clinic's records to compare with",
    Why.BIRTH_DATE: "the birth dates differ, or one is missing",
    Why.FAMILY: "the family names differ, or one is missing",
    Why.GIVEN: "the given names differ, or one is missing or a newborn's",
    Why.NUMBER: "the EHR has another number of the same kind for this patient",
    Why.FORMER: "the number is not in use any more there",
    Why.INACTIVE: "the EHR's patient is out of use",
    Why.DECEASED: "the EHR's patient died before this visit",
    Why.REJECTED: "a person said that this is somebody else",
    Why.GONE: "the EHR has the linked patient no more",
    Why.MERGE: "the EHR merged patients in a way that is not certain",
    Why.UNMERGED: "the EHR made two patients of one again",
    Why.CHANGED: "birth date or family name changed in the EHR since the link was made",
    Why.TAKEN: "another of the clinic's patients is linked to this one",
    Why.BY_HAND: "a person took the link back",
    Why.TO_BE_ASKED: "the EHR is to be asked again",
}


# What is true of one visit and not of another: each is asked about for itself.
OF_A_VISIT = frozenset({Why.INACTIVE, Why.DECEASED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """Our side: the Patient as translated, and its identifiers as this EHR names them."""

    person: Person
    tokens: frozenset[Token]  # only those of kinds that both sides have
    visit: str | None  # when it began; "" where that is not known, None where all is taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The one patient of the EHR, as `Patient/id`, or why a person must say which."""

    reference: str = ""
    how: How | None = None
    why: tuple[Why, ...] = ()
    candidates: tuple[str, ...] = field(default=())

    @property
    def certain(self) -> bool:
        """Say whether nobody needs to be asked."""
        return bool(self.reference) and not self.why


def sentence(why: Iterable[str]) -> str:
    """Say in words, without a patient's value, why a person must look."""
    return "; ".join(WORDS[Why(one)] for one in why)


def choose(
    ours: Ours,
    hits: Sequence[str],
    bodies: Bodies,
    *,
    how: How,
    rejected: frozenset[str] = frozenset(),
    more: bool = False,
) -> Verdict:
    """Choose among those that a search named; of merged ones, the one that is left.

    `hits` by identifier must show it themselves; by `$match` they are those graded `certain`.
    `more`: the EHR has more of them than were read.
    """
    if not hits:
        return Verdict(why=(Why.NOBODY,))
    left = {one: merges.survivor(bodies, one) for one in hits}
    found = tuple(dict.fromkeys(left[one] or one for one in hits))
    if not rejected.isdisjoint([*hits, *found]):
        return Verdict(why=(Why.REJECTED,), candidates=found)
    if not more and not all(left.values()):
        return Verdict(why=(Why.MERGE,), candidates=found)
    if more or len(found) > 1:
        return Verdict(why=(Why.SEVERAL,), candidates=found)
    why = [*_about_numbers(ours, hits, bodies, how), *disagreements(ours, bodies[found[0]])]
    if why:
        return Verdict(why=tuple(dict.fromkeys(why)), candidates=found)
    return Verdict(reference=found[0], how=how, candidates=found)


def _about_numbers(ours: Ours, hits: Sequence[str], bodies: Bodies, how: How) -> list[Why]:
    """Return what the numbers that a patient bears, or bore, say against it."""
    shown = [person.read(bodies[one]) for one in hits]
    in_use = frozenset().union(*(one.identifiers for one in shown))
    why = []
    if how is How.IDENTIFIER and ours.tokens.isdisjoint(in_use):
        former = frozenset().union(*(one.former for one in shown))
        why.append(Why.NUMBER if ours.tokens.isdisjoint(former) else Why.FORMER)
    kinds = {system for system, _ in in_use if system in {kind for kind, _ in ours.tokens}}
    if any({t for t in ours.tokens if t[0] == kind}.isdisjoint(in_use) for kind in kinds):
        why.append(Why.NUMBER)
    return why


def disagreements(ours: Ours, patient: Mapping[str, Any]) -> list[Why]:
    """Return all that speaks against this patient being ours."""
    theirs = person.read(patient)
    why = []
    if not ours.person.birth_date or theirs.birth_date != ours.person.birth_date:
        why.append(Why.BIRTH_DATE)
    if not person.same_family(ours.person, theirs):
        why.append(Why.FAMILY)
    if not person.same_given(ours.person, theirs):
        why.append(Why.GIVEN)
    return [*why, *_no_use(ours, theirs)]


def _no_use(ours: Ours, theirs: Person) -> list[Why]:
    if ours.visit is None:
        return []  # what is taken back is there already, whatever became of the patient
    why = [] if theirs.active else [Why.INACTIVE]
    return [*why, Why.DECEASED] if _died_before(theirs.deceased, ours.visit) else why


def _died_before(deceased: str, visit: str) -> bool:
    """Say whether somebody was dead when a visit began, or nobody can tell; by the day."""
    if not deceased:
        return False
    day = deceased[:10]
    return not (visit and day[:4].isdigit() and visit[: len(day)] <= day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that was decided: to whom, how both looked then, and who became part of that one."""

    reference: str
    then: Person  # the EHR's patient when the link was made
    ours_then: Person
    before: tuple[str, ...] = ()  # those that the EHR made part of it


def look(ours: Ours, link: Link, bodies: Bodies) -> Verdict:
    """Say whether a link still holds, by what the EHR shows now of all that it names."""
    reference = link.reference
    if reference not in bodies:
        return Verdict(why=(Why.GONE,), candidates=(reference,))
    apart = [one for one in link.before if _stands_alone(bodies, one)]
    if apart:
        return Verdict(why=(Why.UNMERGED,), candidates=(*apart, reference))
    left = merges.survivor(bodies, reference)
    if not left:
        return Verdict(why=(Why.MERGE,), candidates=(reference,))
    if left != reference:
        why = tuple(disagreements(ours, bodies[left]))
        if why:
            return Verdict(why=(Why.MERGE, *why), candidates=(left, reference))
        return Verdict(reference=left, how=How.MERGE, candidates=(left,))
    return _unchanged(ours, link, person.read(bodies[reference]), bodies[reference])


def _stands_alone(bodies: Bodies, reference: str) -> bool:
    """Say whether a patient who was part of another one is in use by itself again."""
    patient = bodies.get(reference)
    if patient is None:
        return False  # many EHRs remove what they merged
    return not merges.onward(bodies, reference) and patient.get("active") is not False


def _unchanged(ours: Ours, link: Link, now: Person, patient: Mapping[str, Any]) -> Verdict:
    why: list[Why] = []
    if (now.birth_date, now.families) != (link.then.birth_date, link.then.families):
        why.append(Why.CHANGED)
    if same_to_compare(ours.person, link.ours_then):
        why += _no_use(ours, now)
    else:
        why += disagreements(ours, patient)
    if why:
        return Verdict(why=tuple(dict.fromkeys(why)), candidates=(link.reference,))
    return Verdict(reference=link.reference, candidates=(link.reference,))


def same_to_compare(one: Person, other: Person) -> bool:
    """Say whether nothing changed of what is compared."""
    return (one.birth_date, one.families, one.given) == (
        other.birth_date,
        other.families,
        other.given,
    )
