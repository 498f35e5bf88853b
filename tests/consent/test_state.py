"""What a patient allowed, from statements that come late, twice and out of order."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from fhirbridge.consent import state
from fhirbridge.consent.state import Need
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import consent, record

PATIENT = "kpatient"
RECORDED = "2026-03-02T12:00:00-05:00"
EARLY, LATER, LATEST = (f"2026-0{month}-01T10:00:00-05:00" for month in (1, 2, 3))

Row = dict[str, Any]


@pytest.fixture
def tx() -> Iterator[Connection]:
    """A transaction on a database with one record, `r`, that statements can come from."""
    with opened() as made:
        yield made


class opened:  # noqa: N801  reads as a call
    def __enter__(self) -> Connection:
        self._store = Store("sqlite://")
        self._store.create()
        self._begun = self._store.begin()
        tx = self._begun.__enter__()
        text = {column.name: "" for column in record.c}
        numbers = dict.fromkeys(("version", "warnings", "held"), 1)
        values = {**text, **numbers, "id": "r", "in_error": False, "screen_held": False}
        values["sealed"] = b""
        tx.execute(insert(record).values(**values))
        return tx

    def __exit__(self, *error: object) -> None:
        self._begun.__exit__(None, None, None)
        self._store.close()


def says(status: str, *, signed: str = "", withdrawn: str = "", **more: str) -> Row:
    times = {"signed_at": signed, "withdrawn_at": withdrawn}
    return {
        "id": "c",
        "kind": "sharing",
        "status": status,
        **{name: time for name, time in times.items() if time},
        **more,
    }


def hear(tx: Connection, *rows: Row, recorded_at: str = RECORDED, patient: str = PATIENT) -> None:
    state.remember(tx, patient_key=patient, record_id="r", rows=rows, recorded_at=recorded_at)


def asked(
    tx: Connection,
    destination: str = "ehr",
    *,
    required: bool = False,
    part_2: bool = False,
    patient: str = PATIENT,
) -> str:
    need = Need(destination=destination, sharing_required=required, part_2=part_2)
    return state.refusal(tx, patient, need)


@pytest.mark.parametrize(
    ("status", "required", "refusal"),
    [
        ("", False, ""),
        ("", True, "no consent to sharing is on file"),
        ("active", False, ""),
        ("active", True, ""),
        ("withdrawn", False, "consent to sharing is withdrawn"),
        ("withdrawn", True, "consent to sharing is withdrawn"),
        ("rejected", False, "consent to sharing is rejected"),
        ("expired", False, "consent to sharing is expired"),
        ("proposed", True, "consent to sharing is proposed"),
        ("entered-in-error", False, "consent to sharing is entered-in-error"),
    ],
)
def test_only_an_active_consent_or_none_where_none_is_needed_lets_a_record_go(
    tx: Connection, status: str, *, required: bool, refusal: str
) -> None:
    hear(tx, *([says(status, signed=EARLY)] if status else []))

    assert asked(tx, required=required) == refusal


@pytest.mark.parametrize(
    ("kinds", "allowed"),
    [
        ([], False),
        (["sharing"], False),
        (["treatment"], False),
        (["part-2"], True),
        (["sharing", "part-2"], True),
    ],
)
def test_a_part_2_record_needs_a_consent_of_that_kind(
    tx: Connection, kinds: list[str], *, allowed: bool
) -> None:
    hear(tx, *(says("active", signed=EARLY) | {"kind": kind} for kind in kinds))

    assert (asked(tx, part_2=True) == "") is allowed
    assert asked(tx) == ""


def test_a_withdrawn_part_2_consent_stops_the_record_whatever_sharing_says(tx: Connection) -> None:
    hear(tx, says("active", signed=EARLY))
    hear(tx, says("withdrawn", withdrawn=LATER) | {"kind": "part-2"})

    assert asked(tx, part_2=True) == "labelled 42 CFR Part 2 without an active consent for it"


STATEMENTS = {
    "given": says("active", signed=EARLY),
    "withdrawn": says("withdrawn", signed=EARLY, withdrawn=LATER),
    "given again": says("active", signed=LATEST),
}


@pytest.mark.parametrize("order", list(permutations(STATEMENTS)), ids=" ".join)
def test_the_newest_statement_counts_in_whatever_order_they_come(
    tx: Connection, order: tuple[str, ...]
) -> None:
    for name in order:
        hear(tx, STATEMENTS[name])

    assert asked(tx) == ""


@pytest.mark.parametrize("order", list(permutations(["given", "withdrawn"])), ids=" ".join)
def test_a_signature_from_before_does_not_undo_a_withdrawal(
    tx: Connection, order: tuple[str, ...]
) -> None:
    for name in (*order, "given"):
        hear(tx, STATEMENTS[name], recorded_at=LATEST)

    assert asked(tx) == "consent to sharing is withdrawn"


@pytest.mark.parametrize("status", ["withdrawn", "rejected", "expired", "entered-in-error"])
def test_a_refusal_without_its_time_is_as_new_as_its_record_not_as_old_as_the_signature(
    tx: Connection, status: str
) -> None:
    hear(tx, says("active", signed=LATER))
    hear(tx, says(status, signed=EARLY), recorded_at=LATEST)

    hear(tx, says("active", signed=LATER))

    assert asked(tx) == f"consent to sharing is {status}"


@pytest.mark.parametrize("first", ["active", "withdrawn"])
def test_of_two_statements_of_one_moment_the_refusal_counts(tx: Connection, first: str) -> None:
    given, ended = says("active", signed=LATER), says("withdrawn", withdrawn=LATER)

    hear(tx, *([given, ended] if first == "active" else [ended, given]))

    assert asked(tx) == "consent to sharing is withdrawn"


@pytest.mark.parametrize(
    ("for_all", "for_one", "allowed"),
    [
        (says("active", signed=EARLY), says("withdrawn", withdrawn=LATER), False),
        (says("withdrawn", withdrawn=EARLY), says("active", signed=LATER), True),
        (says("withdrawn", withdrawn=LATER), says("active", signed=EARLY), False),
        (says("active", signed=LATER), says("withdrawn", withdrawn=LATER), False),
        (says("withdrawn", withdrawn=LATER), says("active", signed=LATER), False),
    ],
)
def test_what_was_said_last_of_all_or_of_this_one_counts_and_the_stricter_of_two_at_once(
    tx: Connection, for_all: Row, for_one: Row, *, allowed: bool
) -> None:
    hear(tx, for_all, for_one | {"recipient": "ehr"})

    assert (asked(tx) == "") is allowed


def test_what_was_said_of_one_destination_is_not_said_of_another(tx: Connection) -> None:
    hear(tx, says("withdrawn", withdrawn=EARLY, recipient="ehr"))

    assert asked(tx, "ehr") == "consent to sharing is withdrawn"
    assert asked(tx, "registry") == ""


def test_what_one_patient_said_is_not_said_by_another(tx: Connection) -> None:
    hear(tx, says("withdrawn", withdrawn=EARLY))

    assert asked(tx, patient="kother") == ""


def test_a_recipient_that_cannot_name_a_destination_is_not_kept_in_the_clear(
    tx: Connection,
) -> None:
    hear(tx, says("active", signed=EARLY, recipient="Synthetic Aunt, +1-555-0199"))

    assert tx.execute(select(consent)).all() == []


def test_a_refusal_for_whoever_that_may_be_counts_for_every_destination(tx: Connection) -> None:
    hear(tx, says("active", signed=EARLY))
    hear(tx, says("withdrawn", withdrawn=LATER, recipient="Synthetic Aunt, +1-555-0199"))

    assert asked(tx, "ehr") == "consent to sharing is withdrawn"
    assert {row.recipient for row in tx.execute(select(consent))} == {"*"}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        # The same hour of the clock an hour apart, when the clocks go back.
        ("2026-11-01T01:30:00-04:00", "2026-11-01T01:15:00-05:00"),
        ("2026-03-02T23:00:00-05:00", "2026-03-03T04:30:00Z"),
        ("2026-03-02", "2026-03-02T09:00:00-05:00"),
        ("2026-03-02T09:00:00-05:00", "2026-03-02T09:00:00.000001-05:00"),
    ],
)
def test_times_are_compared_as_moments_not_as_text(
    tx: Connection, earlier: str, later: str
) -> None:
    hear(tx, says("withdrawn", withdrawn=later))
    hear(tx, says("active", signed=earlier))

    assert asked(tx) == "consent to sharing is withdrawn"


MOMENTS = st.sampled_from([EARLY, LATER, LATEST])
HEARD = st.lists(
    st.tuples(st.sampled_from(["active", "withdrawn"]), MOMENTS, st.sampled_from(["*", "ehr"])),
    max_size=6,
)


@given(HEARD, st.randoms(use_true_random=False))
def test_the_order_of_arrival_never_matters(heard: list[tuple[str, str, str]], chance: Any) -> None:
    rows = [
        says(status, recipient=recipient)
        | {"signed_at" if status == "active" else "withdrawn_at": time}
        for status, time, recipient in heard
    ]
    shuffled = chance.sample(rows, len(rows))
    answers = []
    for some in (rows, shuffled):
        with opened() as tx:
            for row in some:
                hear(tx, row)
            answers.append(asked(tx, required=True))

    assert answers[0] == answers[1]
