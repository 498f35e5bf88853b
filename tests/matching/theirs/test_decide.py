"""Whether something in an EHR is what a record means: a table."""

from collections import Counter
from typing import Any

import pytest

from fhirbridge.destinations.theirs import NPI
from fhirbridge.matching.theirs.decide import Shown, Verdict, Wanted, Why, choose, was_then
from tests.fakes import SeededRng
from tests.matching.theirs.hospital import (
    NUMBER,
    ORDER,
    ORDERS,
    VISITS,
    a_practitioner,
    an_encounter,
    an_order,
)

VISIT = "2026-03-02T09:00:00-05:00"
PAIRS = 1000
CHART = frozenset({"ehr-1"})


def wanted(**parts: Any) -> Wanted:
    """The Encounter of a visit, to be searched by its number."""
    return Wanted(
        **{
            "type": "Encounter",
            "subject": "k1",
            "lane": "lane",
            "record_id": "r",
            "numbered": True,
            "token": (VISITS, NUMBER),
            "patients": CHART,
            "visit": VISIT,
            **parts,
        }
    )


def by_table(**parts: Any) -> Wanted:
    return wanted(named=("enc-1",), token=None, **parts)


def period(start: str, end: str = "") -> dict[str, Any]:
    return {"period": {"start": start, **({"end": end} if end else {})}}


WRONG: dict[str, tuple[Wanted, Shown, Why]] = {
    "none": (wanted(), Shown(), Why.NONE),
    "two": (wanted(), Shown(bodies=(an_encounter(), an_encounter("enc-2"))), Why.SEVERAL),
    "a page": (wanted(), Shown(bodies=(an_encounter(),), more=True), Why.SEVERAL),
    "refused": (wanted(), Shown(refused=True), Why.REFUSED),
    "somebody else's": (
        wanted(), Shown(bodies=(an_encounter(patient="ehr-2"),)), Why.OTHER_PATIENT,
    ),
    "nobody's": (wanted(), Shown(bodies=(an_encounter(subject={}),)), Why.OTHER_PATIENT),
    "of a patient at another server": (
        wanted(),
        Shown(bodies=(an_encounter(subject={"reference": "https://far.invalid/Patient/ehr-1"}),)),
        Why.OTHER_PATIENT,
    ),
    "of a group": (
        wanted(),
        Shown(bodies=(an_encounter(subject={"reference": "Group/ehr-1"}),)),
        Why.OTHER_PATIENT,
    ),
    "another number": (wanted(), Shown(bodies=(an_encounter(number="1"),)), Why.NUMBER),
    "a number that is not used any more": (
        wanted(),
        Shown(bodies=(an_encounter(
            identifier=[{"system": VISITS, "value": NUMBER, "use": "old"}]),)),
        Why.NUMBER,
    ),
    "another day": (
        wanted(),
        Shown(bodies=(an_encounter(**period("2026-03-01T09:00:00-05:00",
                                            "2026-03-01T10:00:00-05:00")),)),
        Why.OTHER_DAY,
    ),
    "no time": (wanted(), Shown(bodies=(an_encounter(period={}),)), Why.OTHER_DAY),
    "in error": (wanted(), Shown(bodies=(an_encounter(status="entered-in-error"),)), Why.STATUS),
    "cancelled": (wanted(), Shown(bodies=(an_encounter(status="cancelled"),)), Why.STATUS),
    "a table's, gone": (by_table(), Shown(), Why.GONE),
    "a table's, somebody else's": (
        by_table(), Shown(bodies=(an_encounter(patient="ehr-2"),)), Why.OTHER_PATIENT,
    ),
    "two tables": (wanted(named=("a", "b")), Shown(), Why.TABLES),
    "no number": (wanted(token=None, numbered=False), Shown(), Why.NO_NUMBER),
    "no way": (wanted(token=None), Shown(), Why.NO_WAY),
    "no chart": (wanted(patients=frozenset()), Shown(), Why.NO_PATIENT),
    "another's order": (
        wanted(type="MedicationRequest", token=(ORDERS, ORDER)),
        Shown(bodies=(an_order(patient="ehr-2"),)),
        Why.OTHER_PATIENT,
    ),
    "a draft": (
        wanted(type="MedicationRequest", token=(ORDERS, ORDER)),
        Shown(bodies=(an_order(status="draft"),)),
        Why.STATUS,
    ),
    "a proposal": (
        wanted(type="MedicationRequest", token=(ORDERS, ORDER)),
        Shown(bodies=(an_order(intent="proposal"),)),
        Why.STATUS,
    ),
    "another clinician": (
        wanted(type="Practitioner", token=(NPI, "1234567893"), families=frozenset({"berg"})),
        Shown(bodies=(a_practitioner(),)),
        Why.NAME,
    ),
    "a clinician who left": (
        wanted(type="Practitioner", token=(NPI, "1234567893"),
               families=frozenset({"syntheticokafor"})),
        Shown(bodies=(a_practitioner(active=False),)),
        Why.STATUS,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_safety_10_what_is_not_certain_is_left_out_with_its_reason(case: str) -> None:
    asked, shown, why = WRONG[case]

    assert choose(asked, shown) == Verdict(why=(why,))


RIGHT: dict[str, tuple[Wanted, dict[str, Any]]] = {
    "by number": (wanted(), an_encounter()),
    "by a table": (by_table(), an_encounter(identifier=[])),
    "a chart that the EHR merged": (
        wanted(patients=frozenset({"ehr-1", "ehr-0"})), an_encounter(patient="ehr-0"),
    ),
    "an order": (wanted(type="MedicationRequest", token=(ORDERS, ORDER)), an_order()),
    "a clinician": (
        wanted(type="Practitioner", token=(NPI, "1234567893"),
               families=frozenset({"syntheticokafor"})),
        a_practitioner(),
    ),
    "a clinician whom a table names, married since": (
        wanted(type="Practitioner", named=("prac-1",), token=None, families=frozenset({"x"})),
        a_practitioner(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_what_is_certain_is_linked(case: str) -> None:
    asked, body = RIGHT[case]

    assert choose(asked, Shown(bodies=(body,))).ehr_id == body["id"]


DAYS: list[tuple[dict[str, Any], bool]] = [
    (period("2026-03-02T08:00:00-05:00", "2026-03-02T08:30:00-05:00"), True),
    (period("2026-03-02"), True),
    (period("2026-03-02T23:00:00Z"), True),
    (period("2026-03-03T04:59:00Z"), True),  # still the second, in the clinic
    (period("2026-03-03T05:01:00Z"), False),
    (period("2026-03-01T20:00:00-05:00", "2026-03-04T10:00:00-05:00"), True),
    (period("2026-02-27", "2026-03-04"), True),
    (period("2026-02-27", "2026-03-02"), True),
    (period("2026-02-27", "2026-03-01"), False),
    (period("2026-03-01T20:00:00-05:00", "2026-03-02T08:00:00-05:00"), False),
    (period("2026-03-01T20:00:00-05:00"), False),  # finished, and nobody knows when
    ({**period("2026-03-01T20:00:00-05:00"), "status": "in-progress"}, True),
    (period("2026-03-01T20:00:00-05:00", "soon"), False),
    (period("2026-03"), False),
    (period("yesterday"), False),
    ({"period": "2026-03-02"}, False),
    ({}, False),
]


@pytest.mark.parametrize(("parts", "then"), DAYS)
def test_an_encounter_began_that_day_or_still_lasted(parts: dict[str, Any], *, then: bool) -> None:
    assert was_then({"status": "finished", **parts}, VISIT) is then


@pytest.mark.parametrize("visit", ["", "2026-03-02", "2026-03-02T09:00:00", "soon"])
def test_a_visit_without_a_time_was_on_no_day(visit: str) -> None:
    assert not was_then(an_encounter(), visit)


KINDS = ("right", "wrong number", "other patient", "two hits", "none", "other day")


def a_pair(seed: int) -> tuple[str, Wanted, Shown, str]:
    """A visit of one patient, and what an EHR shows of its number."""
    kind, rng = KINDS[seed % len(KINDS)], SeededRng(seed)
    day = 1 + int(rng.jitter() * 27)
    hour = 6 + int(rng.jitter() * 12)
    visit = f"2026-03-{day:02}T{hour:02}:30:00-05:00"
    number, own, chart = f"V-{seed}", f"enc-{seed}", f"pat-{seed}"
    start = f"2026-03-{day:02}T{hour:02}:00:00-05:00"
    right = an_encounter(own, number=number, patient=chart, **period(start))
    other_day = f"2026-03-{1 + day % 28:02}T{hour:02}:00:00-05:00"
    shown = {
        "right": (right,),
        "wrong number": ({**right, "identifier": [{"system": VISITS, "value": f"V-{seed}0"}]},),
        "other patient": ({**right, "subject": {"reference": f"Patient/pat-{seed}1"}},),
        "two hits": (right, {**right, "id": f"{own}-2"}),
        "none": (),
        "other day": ({**right, **period(other_day, other_day)},),
    }[kind]
    asked = wanted(token=(VISITS, number), patients=frozenset({chart}), visit=visit)
    return kind, asked, Shown(bodies=shown), own


def test_safety_10_of_a_thousand_pairs_none_is_linked_to_the_wrong_encounter() -> None:
    linked: Counter[str] = Counter()
    for seed in range(PAIRS):
        kind, asked, shown, own = a_pair(seed)
        verdict = choose(asked, shown)
        linked[kind] += verdict.ehr_id == own
        assert verdict.ehr_id in ("", own)

    assert linked == {**dict.fromkeys(KINDS, 0), "right": (PAIRS + 5) // len(KINDS)}
