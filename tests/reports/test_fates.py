"""Each line has one fate, and what nothing explains is said to be so."""

from dataclasses import replace
from itertools import product

import pytest

from fhirbridge.outbox.contents import CONTENT, INCOMPLETE, OUTDATED, RETRACTION, WITHDRAWN
from fhirbridge.outbox.states import Became, State
from fhirbridge.reports.fates import Carried, Case, Fate, judge

HERE = Case(
    purpose=CONTENT, record_state="current", in_error=False, taken_back=False, in_ledger=True
)


def by(
    outcome: str | None, state: State = State.DELIVERED, *, reason: str = "", sequence: int = 1
) -> Carried:
    return Carried(
        delivery=f"d-{sequence}", sequence=sequence, state=state, reason=reason, outcome=outcome
    )


@pytest.mark.parametrize(
    ("carried", "fate"),
    [
        (by(Became.CREATED), Fate.SENT),
        (by(Became.UPDATED, State.PARKED), Fate.SENT),
        (by(Became.UNCHANGED), Fate.SENT),
        (by(Became.SENT, State.UNKNOWN), Fate.WAITING),
        (by("", State.PENDING), Fate.WAITING),
        (by("", State.PENDING, reason="consent: withdrawn"), Fate.WITHHELD),
        (by("", State.HELD, reason="consent: withdrawn"), Fate.WITHHELD),
        (by("", State.HELD, reason="edited: Observation/k"), Fate.HELD),
        (by(Became.REFUSED, State.PARKED), Fate.PARKED),
        (by(Became.BLOCKED, State.PARKED), Fate.PARKED),
        (by("", State.PARKED), Fate.PARKED),
        (by("", State.SUPERSEDED), Fate.REPLACED),
        (by(Became.SUPERSEDED), Fate.REPLACED),
        (by(Became.THEIRS), Fate.THEIRS),
        (by(Became.SKIPPED), Fate.SKIPPED),
        (by(Became.CARRIED), Fate.SKIPPED),
        (by(Became.CANNOT_RETRACT), Fate.SKIPPED),
        (by(Became.BY_HAND), Fate.SKIPPED),
        (by("", State.DELIVERED), Fate.UNEXPLAINED),
        (by(None), Fate.NOTHING),
        (by(None, State.HELD, reason="translation"), Fate.HELD),
    ],
)
def test_what_a_delivery_carried_has_its_fate(carried: Carried, fate: Fate) -> None:
    assert judge(replace(HERE, carried=[carried])).fate is fate


def test_every_outcome_in_every_state_has_a_fate() -> None:
    outcomes = [*Became, None]
    for outcome, state in product(outcomes, State):
        assert judge(replace(HERE, carried=[by(outcome, state)])).fate in Fate


def test_what_was_sent_and_is_not_in_the_ledger_is_not_explained() -> None:
    assert judge(replace(HERE, carried=[by(Became.CREATED)], in_ledger=False)) == replace(
        judge(replace(HERE, carried=[by("", State.DELIVERED)])),
        reason="it was delivered, and the ledger does not know it",
    )


def test_the_last_delivery_that_stands_decides() -> None:
    sent, given_up = by(Became.CREATED), by("", State.SUPERSEDED, sequence=2)
    again = by("", State.PENDING, sequence=3)

    assert judge(replace(HERE, carried=[given_up, sent])).fate is Fate.SENT
    assert judge(replace(HERE, carried=[again, sent, given_up])).fate is Fate.WAITING


@pytest.mark.parametrize(
    ("case", "fate"),
    [
        (HERE, Fate.UNEXPLAINED),
        (replace(HERE, purpose=""), Fate.UNEXPLAINED),
        (replace(HERE, newer=True), Fate.REPLACED),
        (replace(HERE, record_state="superseded"), Fate.REPLACED),
        (replace(HERE, purpose=OUTDATED), Fate.REPLACED),
        (replace(HERE, purpose=INCOMPLETE), Fate.WITHHELD),
        (replace(HERE, purpose=WITHDRAWN), Fate.NOTHING),
        (replace(HERE, purpose="", in_error=True), Fate.NOTHING),
        (replace(HERE, taken_back=True), Fate.REPLACED),
        (replace(HERE, removed=True), Fate.NOT_OWED),
        (replace(HERE, alike=[by("", State.HELD, reason="edited: X")]), Fate.HELD),
        (replace(HERE, purpose=RETRACTION, carried=[by(Became.UPDATED)]), Fate.RETRACTED),
    ],
)
def test_what_nothing_carried_needs_a_reason(case: Case, fate: Fate) -> None:
    assert judge(case).fate is fate
