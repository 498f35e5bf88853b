"""R12: a destination that fails is left alone, tried now and then, and used again when well."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirbridge.deliver import breaker
from fhirbridge.deliver.breaker import CALM, LONGEST_PAUSE, Breaker, Standing
from fhirbridge.deliver.worker import SWEEP_SECONDS
from fhirbridge.egress.exchange import NotSent, Response, Unknown
from tests.factories import World, a_short_visit
from tests.fakes import Fault, Outcome, Says
from tests.mapping_sets import few_mappings

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def after(endings: str, *, every: timedelta = SECOND) -> tuple[Breaker, datetime]:
    """What is known after these endings, `+` or `-`, and when the last came."""
    known, now = CALM, NOW
    for ending in endings:
        now += every
        known = breaker.after(known, now, good=ending == "+")
    return known, now


@pytest.mark.parametrize(
    ("endings", "every", "standing"),
    [
        ("+" * 100, SECOND, Standing.CLOSED),
        ("-" * 9, SECOND, Standing.CLOSED),
        ("-" * 10, SECOND, Standing.OPEN),
        ("-" * 9 + "+" + "-" * 8, SECOND, Standing.CLOSED),
        ("-" * 10, timedelta(minutes=10), Standing.OPEN),  # in a row, however slowly
        ("-+" * 10, SECOND, Standing.OPEN),  # half of twenty
        ("-+" * 9, SECOND, Standing.CLOSED),  # too few to tell
        ("-+" * 50, timedelta(seconds=7), Standing.CLOSED),  # not within a minute
        ("-++" * 30, SECOND, Standing.CLOSED),  # a third
    ],
)
def test_it_opens_after_ten_in_a_row_or_half_of_twenty_within_a_minute(
    endings: str, every: timedelta, standing: Standing
) -> None:
    known, now = after(endings, every=every)

    assert breaker.standing(known, now) is standing


def test_in_good_times_nothing_is_to_be_remembered() -> None:
    assert after("+" * 50)[0] == CALM
    assert after("-+" + "+" * 60, every=2 * SECOND)[0] == CALM


def test_it_stays_open_for_thirty_seconds_and_doubles_to_fifteen_minutes() -> None:
    known, now = after("-" * 10)
    pauses = []
    for _ in range(8):
        until = breaker.waits_until(known, now)
        assert until is not None
        pauses.append((until - now).total_seconds())
        assert breaker.standing(known, until - SECOND / 1000) is Standing.OPEN
        assert breaker.standing(known, until) is Standing.HALF_OPEN
        now = until
        known = breaker.after(breaker.probing(known, now), now, good=False)

    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]
    assert timedelta(minutes=15) == LONGEST_PAUSE


def test_of_a_half_open_one_only_one_probe_goes_and_a_dead_prober_is_replaced() -> None:
    known, now = after("-" * 10)
    now += timedelta(seconds=30)
    known = breaker.probing(known, now)

    assert breaker.standing(known, now + timedelta(seconds=59)) is Standing.PROBING
    assert breaker.standing(known, now + timedelta(seconds=60)) is Standing.HALF_OPEN


def test_one_success_closes_it() -> None:
    known, now = after("-" * 10)

    assert breaker.after(breaker.probing(known, now), now + 40 * SECOND, good=True) == CALM


def test_what_was_under_way_when_it_opened_does_not_lengthen_the_pause() -> None:
    known, now = after("-" * 10)

    assert breaker.after(known, now + SECOND, good=False) == known


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=1), timedelta(minutes=-10)])
def test_p05_a_clock_that_jumps_costs_one_early_probe_and_never_locks(jump: timedelta) -> None:
    known, now = after("-" * 10)
    now += jump

    assert breaker.standing(known, now) is Standing.HALF_OPEN
    known = breaker.after(breaker.probing(known, now), now, good=False)
    assert breaker.waits_until(known, now) == now + timedelta(seconds=60)


@given(
    endings=st.lists(st.booleans(), max_size=80),
    gaps=st.lists(st.integers(-3600, 3600), min_size=80, max_size=80),
)
def test_whatever_the_clock_does_nothing_waits_longer_than_the_longest_pause(
    endings: list[bool], gaps: list[int]
) -> None:
    known, now = CALM, NOW
    for good, gap in zip(endings, gaps, strict=False):
        now += timedelta(seconds=gap)
        known = breaker.after(known, now, good=good)
        until = breaker.waits_until(known, now)

        assert until is None or now < until <= now + LONGEST_PAUSE


def said(status: int, body: bytes = b"") -> Response:
    return Response(status=status, headers={}, body=body)


@pytest.mark.parametrize(
    ("outcome", "good"),
    [
        (NotSent(reason="connect: refused"), False),
        (Unknown(reason="read: timeout"), False),
        (said(200, b' {"resourceType":"Bundle"}'), True),
        (said(201, b"{}"), True),
        (said(200, b"<html>sign in</html>"), False),
        (said(204), True),
        *[(said(status), False) for status in (302, 307, 400, 404, 405, 406, 408, 415, 425, 429)],
        *[(said(status), False) for status in (500, 502, 503, 504)],
        *[(said(status), True) for status in (401, 403, 409, 410, 412, 413, 422, 423)],
    ],
)
def test_o5_what_says_that_the_far_side_is_not_well(outcome: Outcome, *, good: bool) -> None:
    assert breaker.is_good(outcome) is good


# --- with the engine --------------------------------------------------------------------------


def run_for(world: World, time: timedelta) -> None:
    """Sweep as the loop does, on the world's own clock."""
    until = world.clock.now() + time
    while world.clock.now() < until:
        world.sync()
        due = world.bridge.next_due()
        gone = timedelta(seconds=30) if due is None else due - world.clock.now()
        world.clock.advance(max(gone, timedelta(seconds=SWEEP_SECONDS)))


@pytest.mark.parametrize("trouble", [Fault.NOT_SENT, Fault.DROPPED, Says(status=404)])
def test_r12_an_ehr_that_is_down_for_an_hour_gets_thirty_requests_at_most(
    trouble: Fault | Says,
) -> None:
    world = World(mapped=few_mappings)
    world.connect()
    world.take(a_short_visit(patient="pt-0"))
    for number in range(1, 31):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.ehr.transport.sent.clear()
    world.ehr.transport.choose = lambda _request: trouble

    run_for(world, timedelta(hours=1))

    assert 10 <= len(world.ehr.transport.sent) <= 30
    world.ehr.transport.choose = lambda _request: None
    world.ehr.transport.sent.clear()
    run_for(world, LONGEST_PAUSE)
    assert world.ehr.transport.sent, "no probe within the longest pause"
    world.settle()
    world.retry()
    world.settle()
    assert set(world.states()) == {"delivered"}
    assert world.differing() == []


def test_r12_the_first_probe_after_recovery_closes_it_and_all_goes_at_once() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    for number in range(12):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.sync()  # the shared lane
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    for number in range(12):
        world.accept(a_short_visit(2, patient=f"pt-{number}"))
    run_for(world, timedelta(minutes=2))
    world.ehr.transport.choose = lambda _request: None
    due = world.bridge.next_due() or world.clock.now()
    world.clock.advance(due - world.clock.now())
    world.ehr.transport.sent.clear()

    world.sync()

    assert len(world.ehr.transport.sent) >= 12 - 1  # a lane may still wait for its own time
    assert world.bridge.status().destinations[0]["waits_for"] == ""


def test_r12_others_go_on_and_what_is_left_alone_uses_up_no_attempts() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    other = world.connect("other")
    world.take(a_short_visit(patient="pt-0"))
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    for number in range(1, 20):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    run_for(world, timedelta(minutes=5))

    of_ehr = [row for row in world.patient_rows() if row.destination == "ehr"]
    assert len(other.all_of("Patient")) == 20
    assert sum(row.attempts for row in of_ehr) <= 20
    assert {row.state for row in of_ehr} == {"delivered", "pending"}


def test_its_state_outlives_a_restart() -> None:
    world = World(mapped=few_mappings)
    world.connect()
    for number in range(12):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.sync()
    for number in range(12):
        world.accept(a_short_visit(2, patient=f"pt-{number}"))
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.sync()
    world.ehr.transport.sent.clear()

    world.bridge = world._open()
    world.sync()

    assert world.ehr.transport.sent == []
    assert world.bridge.status().destinations[0]["waits_for"].startswith("down: ")
