"""What PostgreSQL does that SQLite cannot: writers beside each other, servers that go away."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread, local

import psycopg
import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.engine import make_url

from fhirbridge.outbox import contents
from fhirbridge.outbox.contents import Identity
from fhirbridge.store import postgres as postgres_ways
from fhirbridge.store.engine import Store, StoreBusyError, StoreDoubtError, StoreError
from fhirbridge.store.tables import meta, resource
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings
from tests.postgres.server import Server
from tests.postgres.wire import Wire

pytestmark = pytest.mark.postgres


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


def note(tx: Connection, name: str) -> None:
    tx.execute(insert(meta).values(name=name, value="x"))


def names(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.scalars(select(meta.c.name))) - {"schema"}


def kill_others(url: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )


def wait_for_a_waiter(url: str) -> None:
    """Return once somebody waits for a lock."""
    with psycopg.connect(url, autocommit=True) as own:
        for _ in range(200):
            if own.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (0,):
                return
            Event().wait(0.05)
    raise AssertionError("nobody waits")


def test_a_statement_is_planned_for_its_own_values_however_often_it_is_asked(store: Store) -> None:
    with store.read() as tx:
        for _ in range(20):
            contents.winner(tx, Identity("Organization", "o"), "", "lane")
        asked = "SELECT generic_plans, custom_plans FROM pg_prepared_statements"
        plans = [tuple(one) for one in tx.execute(text(f"{asked} WHERE statement ~ 'resource'"))]

    assert [generic for generic, _ in plans] == [0] * len(plans)
    assert sum(custom for _, custom in plans) > 20


# --- P13 ----------------------------------------------------------------------------------------


def test_p13_of_two_who_cannot_both_be_right_one_does_all_of_it_again(store: Store) -> None:
    """Each writes what it concludes from what the other one writes: a skew of writes."""
    tries: list[str] = []
    both, ready = (Event(), Event()), local()

    def conclude(number: int, tx: Connection) -> None:
        tries.append(f"{number}")
        known = set(tx.scalars(select(meta.c.name).where(meta.c.name.in_(["w-0", "w-1"]))))
        if not hasattr(ready, "once"):
            ready.once = True
            both[number].set()
            both[1 - number].wait(20)
        if not known:
            note(tx, f"w-{number}")

    threads = [
        Thread(target=store.commit, args=(lambda tx, n=number: conclude(n, tx),))
        for number in (0, 1)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert len(names(store)) == 1
    assert len(tries) == 3


def test_p13_of_two_who_wait_for_each_other_both_get_through(store: Store) -> None:
    with store.begin() as tx:
        note(tx, "r-0")
        note(tx, "r-1")
    both, ready = (Event(), Event()), local()

    def change(number: int, tx: Connection) -> None:
        first, second = f"r-{number}", f"r-{1 - number}"
        tx.execute(update(meta).where(meta.c.name == first).values(value=meta.c.value + "y"))
        if not hasattr(ready, "once"):
            ready.once = True
            both[number].set()
            both[1 - number].wait(20)
        tx.execute(update(meta).where(meta.c.name == second).values(value=meta.c.value + "y"))

    threads = [
        Thread(target=store.commit, args=(lambda tx, n=number: change(n, tx),)) for number in (0, 1)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    with store.read() as tx:
        found = tx.scalars(select(meta.c.value).where(meta.c.name.startswith("r-"))).all()
    assert found == ["xyy", "xyy"]


def test_p13_a_connection_that_is_lost_before_the_commit_has_written_nothing(
    store: Store, url: str
) -> None:
    def lose(tx: Connection) -> None:
        note(tx, "one")
        kill_others(url)
        note(tx, "two")

    with pytest.raises(StoreBusyError, match="did not answer"):
        store.commit(lose)

    assert names(store) == set()


@pytest.mark.parametrize("arrives", [True, False])
def test_p13_a_connection_that_is_lost_during_the_commit_is_in_doubt(
    url: str, *, arrives: bool
) -> None:
    with Wire(url) as wire:
        store = Store(wire.url)
        store.check()

        def work(tx: Connection) -> None:
            note(tx, "one")
            wire.cut_at_commit(arrives=arrives)

        with pytest.raises(StoreDoubtError) as doubt:
            store.commit(work)
        store.close()

    there = Store(url)
    assert doubt.value.http_status == 503
    assert names(there) == ({"one"} if arrives else set())
    there.close()


@pytest.mark.parametrize("arrives", [True, False])
def test_p13_a_record_whose_commit_is_in_doubt_is_looked_up_and_stored_once(
    url: str, *, arrives: bool
) -> None:
    with Wire(url) as wire:
        world = World(url=wire.url, mapped=few_mappings)
        world.connect()
        wire.cut_at_commit(arrives=arrives)

        receipt = world.accept(a_short_visit())

        assert receipt.state == ("repeated" if arrives else "current")
        assert world.accept(a_short_visit()).id == receipt.id
        assert len(world.patient_rows()) == 1
        assert len(world.evidence("record.accepted")) == 1
        world.sync()
        assert {row.state for row in world.rows()} == {"delivered"}
        world.store.close()


def test_p13_a_program_that_sleeps_within_a_transaction_does_not_stop_the_others(
    store: Store,
) -> None:
    def sleep(tx: Connection) -> None:
        tx.execute(text("SET idle_in_transaction_session_timeout = 50"))
        note(tx, "one")
        Event().wait(0.5)
        note(tx, "two")

    with pytest.raises(StoreBusyError):
        store.commit(sleep)

    store.commit(lambda tx: note(tx, "three"))
    assert names(store) == {"three"}


def test_p13_who_waits_for_a_program_that_sleeps_comes_through_before_giving_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real times, divided by ten; it sleeps with one lock, and is given the next one."""
    for name, own in (("idle_in_transaction_session_timeout", "IDLE"), ("lock_timeout", "LOCK")):
        shorter = getattr(postgres_ways, f"{own}_TIMEOUT_MS") // 10
        monkeypatch.setitem(postgres_ways.SETTINGS, name, shorter)
    asleep, awake = Store(url), Store(url)
    sleeping = [Event(), Event()]
    over = Event()

    def hold(tx: Connection, mine: Event) -> None:
        note(tx, "one")
        mine.set()
        over.wait(10)
        note(tx, "two")

    def beside() -> None:
        with pytest.raises(StoreBusyError):
            asleep.commit(lambda tx: hold(tx, sleeping[0]))

    def hold_alone() -> None:
        with asleep.begin() as tx:
            hold(tx, sleeping[1])

    def alone() -> None:
        with pytest.raises(StoreBusyError):
            hold_alone()

    sleepers = [Thread(target=beside), Thread(target=alone)]
    sleepers[0].start()
    assert sleeping[0].wait(10)
    sleepers[1].start()
    wait_for_a_waiter(url)
    awake.commit(lambda tx: note(tx, "three"))
    assert sleeping[1].is_set()
    over.set()
    for one in sleepers:
        one.join()

    assert names(awake) == {"three"}
    asleep.close()
    awake.close()


def test_p13_a_server_that_is_gone_is_busy_and_works_again_when_it_is_back(
    store: Store, url: str
) -> None:
    kill_others(url)
    store.commit(lambda tx: note(tx, "one"))
    gone = Store(make_url(url).set(port=1).render_as_string(hide_password=False))

    with pytest.raises(StoreBusyError) as refused:
        gone.check()

    assert "no connection" in refused.value.message
    assert names(store) == {"one"}


# --- P14 ----------------------------------------------------------------------------------------


def test_p14_what_has_a_lower_number_and_is_committed_later_is_delivered_too(url: str) -> None:
    """A number is taken before the commit: whoever takes one first may be committed last."""
    world = World(url=url, mapped=few_mappings)
    world.connect()
    for first, patient in ((1000, "pt-quick"), (1, "pt-slow")):
        with world.store.begin() as tx:
            tx.execute(text(f"SELECT setval('resource_sequence_seq', {first})"))
        world.take(a_short_visit(patient=patient))

    with world.store.read() as tx:
        numbers = tx.scalars(select(resource.c.sequence).order_by(resource.c.as_of)).all()
    assert min(numbers) < 1000 <= max(numbers)
    assert {row.state for row in world.rows()} == {"delivered"}
    assert len(world.patient_rows()) == 2
    world.store.close()


# --- P16, the way in ----------------------------------------------------------------------------


def test_p16_a_forked_process_opens_its_own_connection(store: Store) -> None:
    with store.read() as tx:
        ours = tx.scalar(text("SELECT pg_backend_pid()"))
    told, tells = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            with store.read() as tx:
                os.write(tells, str(tx.scalar(text("SELECT pg_backend_pid()"))).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(told, 100))
    os.close(told)
    os.close(tells)

    with store.read() as tx:
        assert tx.scalar(text("SELECT pg_backend_pid()")) == ours
    assert theirs != ours


@pytest.mark.parametrize(
    "form", ["postgresql://u:Zq-secret@h/x", "postgresql://h/x?password=Zq-secret"]
)
def test_p19_a_password_in_the_url_is_refused_and_not_repeated(form: str) -> None:
    with pytest.raises(StoreError) as refused:
        Store(form)

    assert "PGPASSFILE" in refused.value.hint
    assert "Zq-secret" not in refused.value.message + refused.value.hint


def test_p19_a_wrong_password_is_refused_without_a_word_of_the_server(
    url: str, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("*:*:*:*:Zq-secret\n")
    (tmp_path / "wrong").chmod(0o600)
    base, _, _ = url.partition("?")

    with pytest.raises(StoreBusyError) as refused:
        Store(f"{base}?passfile={tmp_path / 'wrong'}").check()

    told = [refused.value, refused.value.__cause__]
    assert not [one for one in told if "Zq-secret" in str(one) or "127.0.0.1" in str(one)]


def test_an_empty_database_is_refused_with_the_way_out(postgres: Server) -> None:
    made = postgres.database(made=False)
    store = Store(made)

    with pytest.raises(StoreError) as refused:
        store.check()

    assert not store.is_made()
    assert "fhirbridge init" in refused.value.hint
    store.close()
    postgres.drop(made)


def test_four_who_make_the_tables_at_once_make_them_once(postgres: Server) -> None:
    made = postgres.database(made=False)
    stores = [Store(made) for _ in range(4)]
    threads = [Thread(target=one.create) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    stores[0].check()
    for one in stores:
        one.close()
    postgres.drop(made)
