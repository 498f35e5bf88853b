"""Where a delivery goes: rows and answers in, a move out."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from fhirbridge.deliver import decide
from fhirbridge.deliver.answer import Answer, Kind
from fhirbridge.deliver.decide import Refused, Wait
from fhirbridge.deliver.readback import Found, Reading
from fhirbridge.outbox.states import State
from tests.deliver.sends import a_send

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
WAIT = Wait(now=NOW, jitter=0.5)


@dataclass(frozen=True)
class Row:
    runs: int = 1
    attempts: int = 2
    server_errors: int = 0


@pytest.mark.parametrize(
    ("kind", "state", "seconds"),
    [
        (Kind.RETRY, State.PENDING, 2),
        (Kind.AUTH, State.PENDING, 2),
        (Kind.UNKNOWN, State.UNKNOWN, None),
        (Kind.CONFLICT, State.UNKNOWN, None),
        (Kind.PERMANENT, State.PARKED, None),
        (Kind.GONE, State.UNKNOWN, None),
    ],
)
def test_a_refusal_waits_is_read_back_is_parked_or_held(
    kind: Kind, state: State, seconds: int | None
) -> None:
    move = decide.after_refusal(
        Row(), Answer(kind=kind, reason="answered 499"), now=NOW, jitter=0.5
    )

    assert move.to is state
    assert move.due_at == (None if seconds is None else NOW + timedelta(seconds=seconds))
    assert move.counts["runs"] == 0


def test_a_refused_delivery_waits_as_long_as_the_server_asked_within_a_day() -> None:
    answer = Answer(kind=Kind.RETRY, reason="answered 429", retry_after=timedelta(days=3650))

    move = decide.after_refusal(Row(), answer, now=NOW, jitter=0.0)

    assert move.due_at == NOW + timedelta(days=1)


def test_that_a_wait_was_cut_to_a_day_is_shown() -> None:
    asked = {"two days": timedelta(days=2), "a day": timedelta(days=1), "nothing": None}

    said = {
        name: decide.after_refusal(
            Row(),
            Answer(kind=Kind.RETRY, reason="answered 429", retry_after=wait),
            now=NOW,
            jitter=0.0,
        ).reason
        for name, wait in asked.items()
    }

    assert "24 h" in said["two days"]
    assert said["a day"] == said["nothing"] == "answered 429"


@pytest.mark.parametrize(
    ("errors", "state"), [(0, State.PENDING), (3, State.PENDING), (4, State.PARKED)]
)
def test_r09_what_nobody_knows_is_tried_five_times(errors: int, state: State) -> None:
    answer = Answer(kind=Kind.RETRY, reason="answered 418", status=418, counted=True)

    move = decide.after_refusal(replace(Row(), server_errors=errors), answer, now=NOW, jitter=0.5)

    assert move.to is state
    assert state is State.PARKED or move.counts["server_errors"] == errors + 1


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (400, Refused.CONTENT),
        (404, Refused.CONTENT),
        (422, Refused.CONTENT),
        (451, Refused.CONTENT),
        (403, Refused.ACCESS),
        (413, Refused.SIZE),
        (302, Refused.REQUEST),
        (308, Refused.REQUEST),
        (405, Refused.REQUEST),
        (406, Refused.REQUEST),
        (415, Refused.REQUEST),
    ],
)
def test_what_is_refused_decides_what_comes_next(status: int, refused: Refused) -> None:
    answer = Answer(kind=Kind.PERMANENT, reason=f"answered {status}", status=status)

    assert decide.what_is_refused(answer) is refused


def test_a_delivery_that_was_taken_apart_shows_the_first_sentence_and_counts_the_others() -> None:
    one, more = decide.set_aside(["a"], 0), decide.set_aside(["a", "b", "c"], 4)

    assert (one.to, one.reason) == (State.PARKED, "refused: a")
    assert more.reason == "refused: a; 2 more refused; 4 wait for it"


O_, A, B, E, G, U = Found.OURS, Found.ABSENT, Found.BASE, Found.EDITED, Found.GONE, Found.UNREADABLE
OTHER, MISSING = Found.OTHER, Found.MISSING


@pytest.mark.parametrize(
    ("found", "state"),
    [
        ([O_], State.DELIVERED),
        ([O_, O_], State.DELIVERED),
        ([A], State.PENDING),
        ([B], State.PENDING),
        ([O_, A], State.PENDING),
        ([O_, B], State.PENDING),
        ([E], State.HELD),
        ([O_, E], State.HELD),
        ([A, E], State.HELD),
        ([G], State.HELD),
        ([O_, G], State.HELD),
        ([E, G], State.HELD),
        ([U], State.UNKNOWN),
        ([O_, U], State.UNKNOWN),
        ([E, U], State.UNKNOWN),
    ],
)
def test_what_was_read_decides(found: list[Found], state: State) -> None:
    readings = [Reading(send=a_send(position=n), found=one) for n, one in enumerate(found)]

    move = decide.after_reading(Row(), readings, "answered 500", WAIT)

    assert move.to is state
    assert ("Observation/o-1" in move.reason) is (state is State.HELD)


@pytest.mark.parametrize(
    "found", [[OTHER], [O_, OTHER], [U, OTHER], [E, OTHER], [G, OTHER]], ids=lambda f: f[0].value
)
def test_o14_another_resource_shown_twice_in_a_row_is_held_and_once_is_read_again(
    found: list[Found],
) -> None:
    readings = [Reading(send=a_send(position=n), found=one) for n, one in enumerate(found)]

    first = decide.after_reading(Row(), readings, "answered 500", WAIT)
    second = decide.after_reading(Row(), readings, first.reason, WAIT)

    assert first.to is State.UNKNOWN
    assert first.due_at is not None
    assert second.to is State.HELD
    assert second.reason == "mismatch: Observation/o-1 read twice, another resource was shown"


@pytest.mark.parametrize(
    "found", [[MISSING], [O_, MISSING], [E, MISSING]], ids=lambda f: f[0].value
)
def test_what_is_called_unknown_twice_in_a_row_is_held_and_once_is_read_again(
    found: list[Found],
) -> None:
    readings = [Reading(send=a_send(position=n), found=one) for n, one in enumerate(found)]

    first = decide.after_reading(Row(), readings, "answered 404", WAIT)
    second = decide.after_reading(Row(), readings, first.reason, WAIT)

    assert (first.to, second.to) == (State.UNKNOWN, State.HELD)
    assert first.due_at is not None


def test_o14_what_was_read_well_in_between_begins_the_count_anew() -> None:
    other, silent = [Reading(send=a_send(), found=one) for one in (OTHER, U)]

    first = decide.after_reading(Row(), [other], "answered 500", WAIT)
    second = decide.after_reading(Row(), [silent], first.reason, WAIT)
    third = decide.after_reading(Row(), [other], second.reason, WAIT)

    assert third.to is State.UNKNOWN
    assert decide.first_reason(third.reason) == "answered 500"


@pytest.mark.parametrize(
    ("reason", "errors", "state"),
    [
        ("answered 500", 0, State.PENDING),
        ("answered 500", 3, State.PENDING),
        ("answered 500", 4, State.PARKED),
        ("answered 409 (conflict)", 4, State.PARKED),
        (decide.NOT_ACCOUNTED, 4, State.PARKED),
        ("no certain answer: read: timeout", 4, State.PENDING),
        ("no certain answer: read: timeout", 40, State.PARKED),
        ("", 4, State.PENDING),
        ("answered 500; read-back: no certain answer: read: reset", 4, State.PARKED),
    ],
)
def test_what_is_answered_and_never_taken_is_parked_after_five(
    reason: str, errors: int, state: State
) -> None:
    row = replace(Row(), server_errors=errors)

    move = decide.after_reading(row, [Reading(send=a_send(), found=A)], reason, WAIT)

    assert move.to is state


def test_a_read_back_without_an_answer_keeps_why_it_was_needed() -> None:
    answer = Answer(kind=Kind.RETRY, reason="not sent: connect: refused")

    first = decide.still_unknown(Row(), answer, "answered 500", WAIT)
    second = decide.still_unknown(Row(), answer, first.reason, WAIT)

    assert first.to is second.to is State.UNKNOWN
    assert second.reason == "answered 500; read-back: not sent: connect: refused"


def test_a_poisoned_delivery_is_parked_and_points_to_the_log() -> None:
    move = decide.poison(replace(Row(), runs=5))

    assert (move.to, move.counts) == (State.PARKED, {"runs": 0})
    assert "5 times" in move.reason


def test_only_three_of_many_are_named() -> None:
    readings = [Reading(send=a_send(identity=("Observation", f"o-{n}")), found=E) for n in range(5)]

    move = decide.after_reading(Row(), readings, "", WAIT)

    assert move.reason.count("Observation/") == 3
    assert "and 2 more" in move.reason


@pytest.mark.parametrize(
    ("found", "base", "version", "weak", "reason"),
    [
        (Found.SEVERAL, "0", "", False, "doubled: Observation/o-1 is in the EHR more than once"),
        (Found.OURS, "3", "5", True, f"edited: Observation/o-1 {decide.WROTE_OVER}"),
        (Found.OURS, "3", "5", False, ""),
        (Found.OURS, "3", "4", True, ""),
        (Found.OURS, "0", "5", True, ""),
        (Found.OURS, "a", "c", True, ""),
    ],
)
def test_a_second_one_and_what_ours_was_written_over_wait_for_a_person(
    found: Found, base: str, version: str, *, weak: bool, reason: str
) -> None:
    reading = Reading(send=a_send(base), found=found, version=version)

    move = decide.after_reading(Row(), [reading], "", WAIT, weak=weak)

    assert (move.to, move.reason) == (State.HELD if reason else State.DELIVERED, reason)
