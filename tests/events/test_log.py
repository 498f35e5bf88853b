"""Events are told in order, each once and for good."""

from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlalchemy import Connection, delete, update
from sqlalchemy.exc import DBAPIError

from fhirbridge.events import log
from fhirbridge.events.log import Event, NoSuchSequenceError, Subkind
from fhirbridge.store.engine import Store
from fhirbridge.store.errors import StoreError
from fhirbridge.store.pull_tables import event
from tests.fakes import SeededRng

AT = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
ONE = Event(
    subkind=Subkind.PLAN_CHANGED, destination="ehr", patient="kpatient", detail={"type": "Goal"}
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(f"sqlite:///{tmp_path / 'events.db'}")
    made.create()
    return made


def append(store: Store, count: int, rng: SeededRng) -> None:
    with store.begin() as tx:
        for _ in range(count):
            log.append(tx, rng, ONE, at=AT)


def test_who_asks_after_the_last_one_gets_all_in_order_and_none_twice(store: Store) -> None:
    append(store, 5, SeededRng())

    seen: list[int] = []
    reached, more = 0, True
    while more:
        with store.read() as tx:
            page = log.after(tx, reached, most=2)
        seen += [one["sequence"] for one in page.events]
        reached, more = page.last, page.more

    assert seen == [1, 2, 3, 4, 5]
    with store.read() as tx:
        assert log.after(tx, 5) == log.Page(events=[], last=5, more=False)
        (first, *_) = log.after(tx, 0).events
    assert (first["kind"], first["subkind"], first["detail"]) == (
        "ehr.changed", "plan.changed", {"type": "Goal"}
    )  # fmt: skip


@pytest.mark.parametrize("sequence", [-1, 6, 10**15])
def test_what_was_never_told_is_not_asked_after(store: Store, sequence: int) -> None:
    append(store, 5, SeededRng())

    with store.read() as tx, pytest.raises(NoSuchSequenceError) as refused:
        log.after(tx, sequence)

    assert "begin at 0" in refused.value.hint


@pytest.mark.parametrize("change", [update(event).values(at=""), delete(event)])
def test_nobody_changes_or_removes_an_event(store: Store, change: object) -> None:
    append(store, 1, SeededRng())

    with pytest.raises((DBAPIError, StoreError)), store.begin() as tx:
        tx.execute(change)  # type: ignore[call-overload]


def test_of_what_is_written_side_by_side_no_number_is_missing_or_late(database: str) -> None:
    store = Store(database)
    meet = Barrier(4)

    def work(seed: int) -> None:
        rng = SeededRng(seed)

        def one(tx: Connection) -> int:
            return log.append(tx, rng, ONE, at=AT)

        meet.wait()
        for _ in range(5):
            store.commit(one)

    threads = [Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.read() as tx:
        assert [one["sequence"] for one in log.after(tx, 0).events] == [*range(1, 21)]
    store.close()
