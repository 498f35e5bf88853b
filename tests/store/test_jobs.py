"""Wake-ups that are rows of PostgreSQL: part of a transaction, and harmless to it."""

from collections.abc import Iterator
from threading import Barrier, Event, Thread

import pytest
from sqlalchemy import Connection, text

from fhirbridge.store.engine import Store
from fhirbridge.store.jobs import Jobs
from tests.factories import World
from tests.journey.canaries import hits, record_with_canaries
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

SECONDS = 20


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    made = postgres.database()
    yield made
    postgres.drop(made)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url)
    yield made
    made.close()


def waiting(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.scalars(text("SELECT queueing_lock FROM procrastinate_jobs ORDER BY id")))


def test_a_transaction_that_is_taken_back_wakes_nobody(store: Store) -> None:
    def work(tx: Connection) -> None:
        Jobs(store).wake(tx, "ehr", "one")
        raise KeyError

    with pytest.raises(KeyError):
        store.commit(work)

    assert waiting(store) == []


def test_one_job_waits_for_a_lane_and_a_second_one_spoils_nothing(store: Store) -> None:
    jobs = Jobs(store)

    def work(tx: Connection) -> str:
        for lane in ("one", "one", "two", "one"):
            jobs.wake(tx, "ehr", lane)
        return "went on"

    assert [store.commit(work), store.commit(work)] == ["went on", "went on"]

    assert waiting(store) == ["ehr:one", "ehr:two"]


def test_p13_of_many_who_wake_one_lane_at_the_same_time_all_get_through(store: Store) -> None:
    jobs, together, done = Jobs(store), Barrier(8, timeout=SECONDS), []

    def wake(number: int) -> None:
        together.wait()
        for again in range(5):
            store.commit(lambda tx: jobs.wake(tx, "ehr", f"lane-{again % 2}"))  # noqa: B023  at once
        done.append(number)

    threads = [Thread(target=wake, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(SECONDS)

    assert sorted(done) == list(range(8))
    assert sorted(waiting(store)) == ["ehr:lane-0", "ehr:lane-1"]


def test_what_is_committed_is_heard_at_once_by_one_of_two_who_listen(url: str) -> None:
    stores = [Store(url), Store(url)]
    ways, heard, all_of = [Jobs(one) for one in stores], [], Event()

    def look(destination: str) -> None:
        heard.append(destination)
        if len(heard) == 3:
            all_of.set()

    for way in ways:
        way.listen(look)
    for destination in ("first", "second", "third"):
        with stores[0].begin() as tx:
            ways[0].wake(tx, destination, "lane")
    came = all_of.wait(SECONDS)
    for way in ways:
        way.stop()

    assert came
    assert sorted(heard) == ["first", "second", "third"]
    assert waiting(stores[0]) == []
    for one in stores:
        one.close()


def test_r40_a_job_holds_names_of_ours_and_nothing_of_a_patient(url: str) -> None:
    world = World(url=url, waking=Jobs)
    world.connect()
    record, tokens = record_with_canaries()

    world.accept(record)

    with world.store.read() as tx:
        tables = ("jobs", "events")
        every = " UNION ALL ".join(f"SELECT t::text FROM procrastinate_{one} t" for one in tables)
        rows = list(tx.scalars(text(every)))
    assert sorted(waiting(world.store)) == sorted(f"ehr:{one.lane}" for one in world.lanes())
    assert len(rows) == 4
    assert [one for one in rows if hits(one.encode(), tokens)] == []
    world.store.close()
