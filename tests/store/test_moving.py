"""R37: a database moves from SQLite to PostgreSQL whole, proven equal, and nothing goes again."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, delete, func, insert, inspect, select, update
from sqlalchemy.exc import IntegrityError

from fhirbridge.audit import log as audit
from fhirbridge.store import moment, moving, postgres, tables
from fhirbridge.store.engine import Store, StoreError
from fhirbridge.store.moving import Moved, NotEqualError
from fhirbridge.store.tables import evidence, lane, meta, resource
from tests.factories import World, a_short_visit, amended, rate
from tests.fakes import FrozenClock
from tests.mapping_sets import few_mappings
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Ten patients, some with an amendment, delivered; two more wait."""
    made = World(url=f"sqlite:///{tmp_path / 'fhirbridge.db'}", mapped=few_mappings)
    made.connect()
    for number in range(10):
        made.accept(a_short_visit(patient=f"pt-{number}"))
    made.accept(amended(a_short_visit(patient="pt-3"), rate(90)))
    made.sync()
    for number in (10, 11):
        made.accept(a_short_visit(patient=f"pt-{number}"))
    yield made
    made.store.close()


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    made = postgres.database(made=False)
    yield made
    postgres.drop(made)


@pytest.fixture
def target(url: str) -> Iterator[Store]:
    made = Store(url)
    yield made
    made.close()


def move(source: Store, target: Store, head: moving.Head = audit.head) -> Moved:
    return moving.move(source, target, head=head, now=moment.to_text(FrozenClock().now()))


def tables_of(target: Store) -> list[str]:
    with target.read() as tx:
        return inspect(tx).get_table_names()


def counted(store: Store) -> dict[str, int]:
    with store.read() as tx:
        return {
            table.name: tx.scalars(select(func.count()).select_from(table)).one()
            for table in tables.metadata.sorted_tables
        }


def test_r37_counts_hashes_and_the_head_of_the_evidence_log_are_equal(
    world: World, target: Store
) -> None:
    before = counted(world.store)

    moved = move(world.store, target)

    assert moved.rows == before == counted(target)
    assert moved.rows["evidence"] > 50
    with target.read() as tx:
        assert audit.head(tx) == moved.head
    target.check()


def test_r37_after_a_move_nothing_is_sent_again_and_what_waited_goes(
    world: World, target: Store, url: str
) -> None:
    sent = len(world.ehr.transport.sent)
    move(world.store, target)
    moved = World(url=url, seed=2, mapped=few_mappings)
    moved.ehrs = world.ehrs

    moved.sync()
    new = world.ehr.transport.sent[sent:]
    moved.accept(a_short_visit(patient="pt-3"))
    moved.accept(amended(a_short_visit(patient="pt-5"), rate(91)))
    moved.sync()

    assert {row.state for row in moved.rows()} == {"delivered"}
    assert len([one for one in new if one.method in ("POST", "PUT")]) == 2
    assert moved.differing() == []
    moved.store.close()


def test_r37_a_move_that_breaks_off_leaves_nothing_and_is_begun_again(
    world: World, target: Store
) -> None:
    def broken(_tx: Connection) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(world.store, target, head=broken)

    assert tables_of(target) == []
    world.store.check()
    move(world.store, target)
    target.check()


def test_r37_a_move_of_which_only_the_end_is_left_is_ended(world: World, target: Store) -> None:
    moved = move(world.store, target)
    with world.store.begin() as tx:  # as if it had been killed between the two commits
        tx.execute(delete(meta).where(meta.c.name == "moved"))
        for name in ("moved_evidence", "moved_lane"):
            tx.exec_driver_sql(f"DROP TRIGGER {name}")

    assert move(world.store, target) == moved

    with pytest.raises(StoreError, match="was moved"):
        world.store.check()


def test_r37_a_target_that_is_not_empty_is_refused_and_left_alone(
    world: World, target: Store
) -> None:
    target.create()

    with pytest.raises(NotEqualError) as refused:
        move(world.store, target)

    assert "empty" in refused.value.hint
    assert sum(counted(target).values()) == 1
    world.store.check()


def test_r37_a_copy_that_is_not_equal_is_not_kept(world: World, target: Store) -> None:
    heads = iter(["one", "other"])

    with pytest.raises(NotEqualError):
        move(world.store, target, head=lambda _tx: next(heads))

    assert tables_of(target) == []
    world.store.check()


def test_r37_whoever_still_runs_on_the_old_database_can_neither_take_in_nor_deliver(
    world: World, target: Store
) -> None:
    sent = len(world.ehr.transport.sent)
    move(world.store, target)
    before = counted(world.store)

    with pytest.raises(IntegrityError, match="moved"):
        world.accept(a_short_visit(patient="pt-99"))
    with suppress(StoreError, IntegrityError):
        world.sync()
    with pytest.raises(StoreError, match="was moved"):
        world.store.check()

    assert len(world.ehr.transport.sent) == sent
    after = counted(world.store)
    assert [after[name] - before[name] for name in ("record", "delivery", "evidence")] == [0, 0, 0]


def test_r37_while_deliveries_are_under_way_nothing_is_moved(world: World, target: Store) -> None:
    until = moment.to_text(FrozenClock().now() + timedelta(seconds=30))
    with world.store.begin() as tx:
        tx.execute(update(lane).values(leased_until=until))

    with pytest.raises(StoreError, match="under way"):
        move(world.store, target)

    assert tables_of(target) == []


def test_r37_what_the_database_numbers_itself_goes_on_after_what_came_along(
    world: World, target: Store
) -> None:
    move(world.store, target)

    with target.begin() as tx:
        last = tx.scalars(select(func.max(resource.c.sequence))).one()
        row: dict[str, Any] = dict(tx.execute(select(resource).limit(1)).mappings().one())
        del row["sequence"]
        tx.execute(insert(resource).values(**row | {"id": "new"}))
        added = select(resource.c.sequence).where(resource.c.id == "new")
        assert tx.scalars(added).one() == last + 1


def test_evidence_is_kept_as_it_was_after_a_move(world: World, target: Store) -> None:
    move(world.store, target)

    with pytest.raises(IntegrityError), target.begin() as tx:
        tx.execute(update(evidence).values(actor="other"))


@pytest.mark.parametrize("form", ["sqlite://", "sqlite:////nowhere/at/all.db"])
def test_only_postgresql_is_a_target(world: World, form: str) -> None:
    with pytest.raises(StoreError, match="only to PostgreSQL"):
        move(world.store, Store(form))


def test_r37_a_move_that_reads_for_longer_than_a_program_may_sleep_is_not_put_out(
    world: World, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres.SETTINGS, "idle_in_transaction_session_timeout", 50)
    target = Store(url)

    def slow(tx: Connection) -> str:
        Event().wait(0.2)  # a large database is read for minutes
        return audit.head(tx)

    moved = move(world.store, target, slow)

    assert moved.rows == counted(target)
    target.close()
