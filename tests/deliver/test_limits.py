"""R11, R15: what a destination is asked at most, shared by all who ask it."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from fhirbridge.clock import SystemClock
from fhirbridge.deliver import limits, traffic
from fhirbridge.deliver.limits import QUIET, Closed, Turn
from fhirbridge.deliver.traffic import Metered
from fhirbridge.destinations import registry
from fhirbridge.destinations.errors import DestinationError
from fhirbridge.destinations.limits import LimitChange, Limits
from fhirbridge.egress.exchange import NotSent, Request, Response
from fhirbridge.outbox.backoff import LONGEST_ASKED
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import START, Fault, FrozenClock, Outcome, Says
from tests.mapping_sets import few_mappings

SECOND = timedelta(seconds=1)
ASK = Request(method="GET", url="http://ehr.invalid/fhir/metadata", headers={})


class Far:
    """Answers all, and notes when it was asked."""

    def __init__(self, clock: FrozenClock | SystemClock) -> None:
        self.clock = clock
        self.asked: list[datetime] = []

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        assert request is ASK
        assert deadline_seconds > 0
        self.asked.append(self.clock.now())
        return Response(status=200, headers={}, body=b"{}")


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def limit(world: World, **chosen: float) -> None:
    change = LimitChange(**chosen)  # type: ignore[arg-type]
    world.bridge.limit_destination("ehr", change, actor="test")


def send(meter: Metered) -> Outcome:
    return meter.send(ASK, deadline_seconds=30)


def taken_turns(limit_to: Limits, clock: FrozenClock, count: int) -> Iterator[datetime]:
    """Take turns one after the other, each as soon as it is given."""
    known = QUIET
    for _ in range(count):
        turn = limits.turn(known, limit_to, clock.now())
        while isinstance(turn, Closed):
            clock.advance(turn.until - clock.now())
            turn = limits.turn(known, limit_to, clock.now())
        known = turn.traffic
        yield clock.now() + turn.wait


@pytest.mark.parametrize("rps", [0.01, 0.3, 1, 7, 1000])
def test_r15_turns_are_as_far_apart_as_the_limit_says(rps: float) -> None:
    times = list(taken_turns(Limits(rps=rps), FrozenClock(), 200))

    assert 199 / (times[-1] - times[0]).total_seconds() <= rps * 1.05
    assert min(b - a for a, b in pairwise(times)) >= 0.99 * SECOND / rps


def test_r15_four_workers_together_stay_within_the_rate(world: World) -> None:
    limit(world, rps=5)
    far = Far(world.clock)
    workers = [Metered(world.store, world.clock, "ehr", far) for _ in range(4)]

    for number in range(200):
        send(workers[number % 4])

    seconds = (far.asked[-1] - far.asked[0]).total_seconds()
    assert 199 / seconds <= 5 * 1.05
    assert 199 / seconds >= 5 * 0.95


def test_r15_the_requests_of_a_day_end_with_paused_until_and_it_is_remembered(
    world: World,
) -> None:
    limit(world, per_day=3)
    for number in range(5):
        world.accept(a_short_visit(patient=f"pt-{number}"))

    world.sync()

    assert len(world.ehr.transport.sent) == 3
    world.bridge = world._open()  # a restart
    world.sync()
    assert len(world.ehr.transport.sent) == 3
    (shown,) = world.bridge.status().destinations
    assert shown["waits_until"] == "2026-05-05T00:00:00.000000Z"
    assert shown["waits_for"].startswith("quota: the 3 requests of 2026-05-04")
    assert world.bridge.next_due() == datetime.fromisoformat("2026-05-05T00:00:00Z")
    assert {row.attempts for row in world.rows()} == {0}

    world.settle()
    assert set(world.states()) == {"delivered"}


def test_r15_a_day_that_ends_within_a_lane_uses_up_no_attempt(world: World) -> None:
    record = a_short_visit()
    world.take(record)
    limit(world, per_day=1)
    for pulse in (80, 90):
        record = amended(record, rate(pulse))
        world.accept(record)

    world.sync()

    assert [row.state for row in world.patient_rows()] == ["delivered", "delivered", "pending"]
    assert {(row.runs, row.attempts) for row in world.rows()} == {(0, 0)}


def test_r15_four_threads_by_the_clock_of_the_machine_stay_within_the_rate(tmp_path: Path) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'test.db'}", mapped=few_mappings)
    world.connect()
    limit(world, rps=40)
    far = Far(SystemClock())
    meters = [Metered(world.store, SystemClock(), "ehr", far) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda mine=meter: [send(mine) for _ in range(15)])
        for meter in meters
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    asked = sorted(far.asked)
    assert len(asked) == 60
    assert 59 / (asked[-1] - asked[0]).total_seconds() <= 40 * 1.05


def test_p05_a_clock_set_back_over_midnight_gives_no_second_quota() -> None:
    clock = FrozenClock(datetime.fromisoformat("2026-05-05T00:00:05+00:00"))
    known, allowed = QUIET, Limits(per_day=2)
    for _ in range(2):
        turn = limits.turn(known, allowed, clock.now())
        assert isinstance(turn, Turn)
        known = turn.traffic

    clock.jump(timedelta(minutes=-10))
    assert isinstance(limits.turn(known, allowed, clock.now()), Closed)
    clock.jump(timedelta(days=-30))  # a clock that was a month ahead locks nobody out
    assert isinstance(limits.turn(known, allowed, clock.now()), Turn)


def test_p05_a_clock_set_back_does_not_stop_a_rate(world: World) -> None:
    limit(world, rps=1)
    far = Far(world.clock)
    meter = Metered(world.store, world.clock, "ehr", far)
    send(meter)
    world.clock.jump(timedelta(hours=-1))

    send(meter)

    assert len(far.asked) == 2
    assert sum(world.clock.slept) <= 1


def test_r11_nothing_goes_to_a_destination_before_the_time_it_asked_for(world: World) -> None:
    world.take(a_short_visit(patient="pt-0"))
    for number in range(1, 4):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    world.ehr.transport.sent.clear()
    world.ehr.transport.script = [Says(status=503, headers={"retry-after": "120"})]

    world.sync()
    world.clock.advance(110 * SECOND)
    world.sync()
    assert len(world.ehr.transport.sent) == 1

    world.settle()
    assert set(world.states()) == {"delivered"}


@pytest.mark.parametrize(
    ("said", "waited"),
    [
        ("120", 120),
        ("Mon, 04 May 2026 09:02:00 GMT", 120),
        ("0", 0),
        ("-5", 0),
        ("Mon, 04 May 2020 09:02:00 GMT", 0),
        ("soon", 0),
        ("", 0),
        ("315360000", 86_400),  # ten years
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_r11_o12_both_forms_are_heeded_and_capped(status: int, said: str, waited: int) -> None:
    answer = Response(status=status, headers={"retry-after": said}, body=b"")

    known = limits.after(QUIET, answer, START)
    shut = limits.closed(known, Limits(), START)

    assert (0 if shut is None else (shut.until - START).total_seconds()) == waited


def test_r11_a_wish_that_is_capped_is_shown(world: World) -> None:
    world.accept(a_short_visit())
    world.ehr.transport.script = [Says(status=429, headers={"retry-after": "900000"})]
    world.sync()

    (shown,) = world.bridge.status().destinations

    assert shown["waits_for"].endswith("asked to wait 900000 seconds; we ask again after a day")
    assert datetime.fromisoformat(shown["waits_until"]) == world.clock.now() + LONGEST_ASKED


def test_what_may_not_go_is_not_sent_and_says_so(world: World) -> None:
    far = Far(world.clock)
    meter = Metered(world.store, world.clock, "ehr", far)
    limit(world, per_day=1)
    send(meter)

    held_back = send(meter)

    assert isinstance(held_back, NotSent)
    assert held_back.reason.startswith(traffic.HELD_BACK)
    assert len(far.asked) == 1


def test_who_waits_for_its_turn_hears_that_nothing_may_go_any_more(world: World) -> None:
    limit(world, rps=1)
    world.accept(a_short_visit(patient="pt-1"))
    far = Far(world.clock)
    meter = Metered(world.store, world.clock, "ehr", far)
    send(meter)
    sleep = world.clock.sleep

    def meanwhile(seconds: float) -> None:
        sleep(seconds)
        with world.store.begin() as tx:
            known = traffic.load(tx, "ehr")
            answer = Response(status=429, headers={"retry-after": "60"}, body=b"")
            traffic.save(tx, "ehr", limits.after(known, answer, world.clock.now()))

    world.clock.sleep = meanwhile  # type: ignore[method-assign]

    assert isinstance(send(meter), NotSent)
    assert len(far.asked) == 1


def test_good_times_write_nothing(world: World) -> None:
    far = Far(world.clock)
    meter = Metered(world.store, world.clock, "ehr", far)
    send(meter)

    with world.store.read() as tx:
        assert traffic.load(tx, "ehr") == QUIET


@pytest.mark.parametrize(
    "wrong", [{"rps": -1.0}, {"rps": 1e9}, {"concurrent": 0}, {"concurrent": 99}, {"per_day": -1}]
)
def test_a_limit_that_means_nothing_is_refused(world: World, wrong: dict[str, float]) -> None:
    with pytest.raises(DestinationError):
        limit(world, **wrong)


def test_what_a_change_leaves_out_stays(world: World) -> None:
    limit(world, rps=2.5, per_day=100)
    limit(world, concurrent=4)

    with world.store.read() as tx:
        known = registry.get(tx, "ehr").limits
    assert known == Limits(rps=2.5, concurrent=4, per_day=100)
    assert len(world.evidence("destination.limited")) == 2


def test_a_lost_answer_and_a_refused_connection_ask_for_no_wait() -> None:
    for trouble in (Fault.NOT_SENT, Fault.DROPPED):
        known = limits.after(QUIET, NotSent(reason=trouble.value), START)
        assert limits.closed(known, Limits(), START) is None
