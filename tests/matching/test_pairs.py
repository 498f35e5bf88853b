"""R26 in numbers: a thousand pairs of persons, against an EHR."""

from collections import Counter
from collections.abc import Sequence

import pytest

from fhirbridge.egress.exchange import Response
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from fhirbridge.matching import asking, decide, person, sight
from fhirbridge.matching.asking import Question
from fhirbridge.matching.decide import Ours, Verdict
from tests.fakes import FarSide, FrozenClock
from tests.matching.clinic import CLINIC, HOSPITAL, Matching, put
from tests.matching.pairs import KINDS, Pair, a_pair

PAIRS = 1000
IN_ONE_EHR = 50  # a search of the sandbox looks at every patient
VISIT = "2026-03-01T09:00:00-05:00"
BASE = "http://ehr.invalid/fhir"


def decided(pair: Pair, ehr: Ehr, *, match: bool = True) -> Verdict:
    """Ask an EHR who this is, as before a delivery, and decide."""
    ours = person.read(pair.ours)
    tokens = frozenset((HOSPITAL, v) for system, v in ours.identifiers if system == CLINIC)
    asked = {**pair.ours, "identifier": [{"system": s, "value": v} for s, v in tokens]}
    question = Question(tokens=tuple(sorted(tokens)), patient=asked if match else None)
    outcome = asking.ask(ehr, question)
    assert isinstance(outcome, Response)
    seen = sight.read(codec.decode(outcome.body))
    return decide.choose(
        Ours(person=ours, tokens=tokens, visit=VISIT),
        seen.hits,
        seen.bodies,
        how=seen.how,
        more=seen.more,
    )


def shown(pairs: Sequence[Pair]) -> list[tuple[Pair, Verdict]]:
    """Put these into one EHR, with a $match of its own, and ask for each."""
    far = FarSide(FrozenClock(), BASE)
    transport = Matching(far.model, base_url=BASE, clock=FrozenClock())
    for one in (one for pair in pairs for one in pair.there):
        put(far, one)
    found = []
    for pair in pairs:
        by_id = {one["id"]: one for one in pair.there}
        grades = [(by_id[own], grade) for own, grade in pair.grades]
        transport.grades = lambda _patient, said=grades: said  # type: ignore[misc]
        found.append((pair, decided(pair, Ehr(base_url=BASE, transport=transport))))
    return found


@pytest.fixture(scope="module")
def verdicts() -> list[tuple[Pair, Verdict]]:
    pairs = [a_pair(seed) for seed in range(PAIRS)]
    parts = [pairs[start : start + IN_ONE_EHR] for start in range(0, PAIRS, IN_ONE_EHR)]
    return [one for part in parts for one in shown(part)]


def test_r26_no_pair_of_a_thousand_is_linked_to_somebody_else(
    verdicts: list[tuple[Pair, Verdict]],
) -> None:
    wrong = [
        (pair.kind, verdict.reference)
        for pair, verdict in verdicts
        if verdict.certain and verdict.reference != f"Patient/{pair.truth}"
    ]

    assert len(verdicts) == PAIRS
    assert wrong == []


def test_r26_of_those_who_are_certain_four_of_five_are_linked_at_least(
    verdicts: list[tuple[Pair, Verdict]],
) -> None:
    certain = [(pair, verdict) for pair, verdict in verdicts if pair.certain]
    linked = [pair for pair, verdict in certain if verdict.certain]

    assert len(certain) > PAIRS / 3
    assert len(linked) >= 0.8 * len(certain), Counter(
        pair.kind for pair, verdict in certain if not verdict.certain
    )


def test_every_kind_of_pair_that_is_not_certain_waits_for_a_person(
    verdicts: list[tuple[Pair, Verdict]],
) -> None:
    kinds = {pair.kind for pair, _ in verdicts}
    told = [pair.kind for pair, verdict in verdicts if not verdict.certain and not verdict.why]

    assert len(kinds) == len(set(KINDS))
    assert told == []
