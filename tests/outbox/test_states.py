"""The graph of a delivery's states, and when to try again."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.outbox.backoff import LONGEST_ASKED, LONGEST_WAIT, next_wait
from fhirbridge.outbox.states import ALLOWED, OPEN, STUCK, ForbiddenMoveError, State, check_move

EDGES = {
    State.PENDING: "pending sending delivered held parked superseded",
    State.SENDING: "sending pending unknown delivered held parked superseded",
    State.UNKNOWN: "sending held parked",
    State.HELD: "pending superseded",
    State.PARKED: "pending superseded",
    State.DELIVERED: "",
    State.SUPERSEDED: "",
}


@pytest.mark.parametrize(("before", "after"), list(product(State, State)))
def test_only_the_edges_of_the_graph_are_ways(before: State, after: State) -> None:
    if after in EDGES[before].split():
        check_move(before, after)
    else:
        with pytest.raises(ForbiddenMoveError):
            check_move(before, after)


def test_every_state_has_its_edges_and_what_is_through_stays() -> None:
    assert set(ALLOWED) == set(State)
    assert ALLOWED[State.DELIVERED] == ALLOWED[State.SUPERSEDED] == frozenset()
    assert set(OPEN) | set(STUCK) == {state for state in State if ALLOWED[state]}


def test_what_is_uncertain_never_goes_back_to_pending_without_being_read() -> None:
    assert State.PENDING not in ALLOWED[State.UNKNOWN]
    assert State.DELIVERED not in ALLOWED[State.UNKNOWN]


@pytest.mark.parametrize(
    ("attempt", "seconds"), [(0, 1), (1, 2), (2, 4), (5, 32), (9, 512), (10, 900), (4000, 900)]
)
def test_waits_double_up_to_fifteen_minutes(attempt: int, seconds: int) -> None:
    assert next_wait(attempt, retry_after=None, jitter=1.0) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(30, 30), (1, 1), (86_400, 86_400), (10**8, 86_400), (0, 8), (-5, 8)],
)
def test_what_the_server_asked_wins_within_a_day_and_at_once_is_no_wish(
    asked: int, seconds: int
) -> None:
    wait = next_wait(3, retry_after=timedelta(seconds=asked), jitter=1.0)

    assert wait == timedelta(seconds=seconds)


@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.none() | st.timedeltas())
def test_a_wait_is_never_negative_and_never_longer_than_promised(
    attempt: int, jitter: float, asked: timedelta | None
) -> None:
    wait = next_wait(attempt, retry_after=asked, jitter=jitter)

    assert timedelta() <= wait <= (LONGEST_ASKED if asked else LONGEST_WAIT)
