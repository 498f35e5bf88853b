"""R36: the engine may lose, double and delay every wake-up, and die: each record arrives once.

Twelve promises, on SQLite with its bell and on PostgreSQL with procrastinate.
"""

from datetime import timedelta
from threading import Event, Thread

import pytest
from sqlalchemy import text

from fhirbridge.deliver import run
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.outbox.states import POISON
from tests.engine import losing
from tests.engine.site import SECONDS, Site
from tests.factories import AFTER_A_LEASE, a_short_visit, amended, rate

HOUR = timedelta(hours=1)
KILLS = [("leased", 1), ("claimed", 1), ("answered", 1), ("settled", 1), ("claimed", 2)]


def test_r36_p15_every_wake_up_is_lost(site: Site) -> None:
    site.way.fate = "lost"
    site.way.sweep_seconds = 1.0  # what is told of it here is that it comes
    with site.working():
        site.accept_of(3)
        site.until_delivered()

    assert site.way.heard.total() == 0
    assert site.is_there_once()
    assert site.patients() == 3


def test_r36_p15_every_wake_up_comes_twice(site: Site) -> None:
    site.way.fate = "twice"
    with site.working():
        site.accept_of(3)
        site.until_delivered()
        site.until(lambda: not site.jobs())
        site.until(lambda: site.way.heard["ehr"] > 4)  # there are four lanes

    assert site.is_there_once()
    assert len(site.world.ehr.transport.sent) == 4


def test_r36_p15_every_wake_up_comes_days_late(site: Site) -> None:
    site.way.fate = "late"
    with site.working():
        site.accept_of(3)
    with site.working():
        site.until_delivered()
        site.world.clock.advance(timedelta(days=9))
        asked = len(site.world.ehr.transport.sent)
        site.way.arrive_late()
        site.way.fate = "good"
        site.accept(a_short_visit(2, patient="pt-0"))
        site.until_delivered()

    assert site.is_there_once()
    assert len(site.world.ehr.transport.sent) == asked + 1 == 5


@pytest.mark.slow
@pytest.mark.parametrize(("step", "at"), KILLS, ids=[f"{step}-{at}" for step, at in KILLS])
def test_r36_p01_a_worker_is_killed_at_each_step(site: Site, step: str, at: int) -> None:
    site.accept_of(2)

    site.killed_at(step, at=at)

    site.world.clock.advance(AFTER_A_LEASE)
    with site.working():
        site.until_delivered()
    assert site.is_there_once()
    assert site.patients() == 2


def test_r36_r05_two_workers_want_one_lane(site: Site) -> None:
    first = a_short_visit()
    second = amended(first, rate(90))
    site.accept(first, second, amended(second, rate(100)))
    other = site.another()
    with site.working(loops=2), other.working(loops=2):
        site.until_delivered()

    (pulse,) = site.world.ehr.all_of("Observation")
    shown = [one["valueQuantity"]["value"] for one in site.world.ehr.history(_reference(pulse))]
    assert shown == [72, 90, 100]
    assert site.is_there_once(versions=3)
    other.close()


def test_r36_p05_one_worker_has_a_clock_an_hour_ahead(site: Site) -> None:
    """It thinks that every lease has ended, and takes the lane of one who is at work."""
    site.accept_of(1)
    with site.working():
        site.until_delivered()
    site.accept(a_short_visit(2, patient="pt-0"))
    opened, inside = Event(), Event()

    def hold(_request: object) -> None:
        if not inside.is_set():
            inside.set()
            opened.wait(SECONDS)

    site.world.ehr.transport.before_serving = hold
    ahead = site.another()
    ahead.world.clock.jump(HOUR)
    with site.working():
        assert inside.wait(SECONDS)
        with ahead.working():
            ahead.until_delivered()
        opened.set()
    site.world.clock.advance(HOUR)

    assert site.is_there_once()
    assert site.patients() == 1
    ahead.close()


# What was being read as the connection was lost cannot be closed any more.
@pytest.mark.filterwarnings("ignore:.*ServerCursorMixin:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_r36_the_database_goes_away_and_comes_back(
    site: Site, request: pytest.FixtureRequest
) -> None:
    with site.working():
        site.accept_of(2)
        site.until_delivered()
        losing.restart(site, request)
        heard = site.way.heard["ehr"]
        site.accept_of(2, first=2)
        site.until_delivered()
        site.accept_of(1, first=4)
        site.until_delivered()
        site.until(lambda: site.way.heard["ehr"] > heard)  # it is woken again, not only swept

    assert site.is_there_once()
    assert site.patients() == 5


def test_r36_r18_what_is_paused_waits_and_what_is_resumed_goes_at_once(site: Site) -> None:
    stopped = Stopped("ehr", ANY)
    with site.working():
        site.world.bridge.pause(stopped, actor="test")
        site.accept_of(2)
        site.until(lambda: site.way.heard["ehr"] > 0)
        asked = len(site.world.ehr.transport.sent)
        heard = site.way.heard["ehr"]
        site.world.bridge.resume(stopped, actor="test")
        site.until(lambda: site.way.heard["ehr"] > heard)
        site.until_delivered()

    assert asked == 0
    assert site.is_there_once()


def test_r36_a_backlog_with_one_destination_down_holds_up_no_other(site: Site) -> None:
    losing.backlog(site, patients=25)


@pytest.mark.slow
def test_r36_p18_a_record_that_kills_its_worker_is_parked_and_others_go_on(site: Site) -> None:
    site.accept_of(3)
    poison = site.world.patient_rows()[1].id

    for _ in range(run.MOST_RUNS):
        losing.dies_of(site, poison)
        site.world.clock.advance(AFTER_A_LEASE)
    with site.working():
        site.until(lambda: set(site.world.states()) == {"delivered", "parked"})

    (parked,) = site.world.rows("parked")
    assert (parked.id, parked.reason.startswith(POISON)) == (poison, True)
    assert site.patients() == 2


def test_r36_r39_who_is_told_to_end_frees_its_lanes_and_takes_no_wake_up(site: Site) -> None:
    site.accept_of(1)
    opened, inside = Event(), Event()

    def hold(_request: object) -> None:
        inside.set()
        opened.wait(SECONDS)

    site.world.ehr.transport.before_serving = hold
    with site.working() as (loop,):
        assert inside.wait(SECONDS)
        ending = Thread(target=loop.stop, args=(SECONDS,))
        ending.start()
        opened.set()
        ending.join(SECONDS)
        heard = site.way.heard.total()
        site.accept_of(1, first=1)

        assert not ending.is_alive()
        assert site.leased() == []
        assert site.way.heard.total() == heard
    site.world.ehr.transport.before_serving = lambda _request: None
    with site.working():
        site.until_delivered()
    assert site.is_there_once()


def test_r36_wake_ups_that_were_heard_are_deleted_and_those_of_the_dead_too(site: Site) -> None:
    with site.working():
        site.accept_of(3)
        site.until_delivered()
        site.until(lambda: not site.jobs())
    if site.way.is_jobs:
        losing.leave_a_stalled_job(site)
        heard = site.way.heard.total()
        with site.working():
            site.until(lambda: not site.jobs())
        assert site.way.heard.total() == heard  # deleted, not done again
        with site.world.store.read() as tx:
            assert tx.scalar(text("SELECT count(*) FROM procrastinate_events")) == 0
            assert tx.scalar(text("SELECT count(*) FROM procrastinate_workers")) == 0

    assert site.is_there_once()


def _reference(body: dict[str, object]) -> str:
    return f"{body['resourceType']}/{body['id']}"
