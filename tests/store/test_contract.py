"""What the store promises on SQLite and on PostgreSQL alike."""

from collections.abc import Iterator
from contextlib import suppress
from threading import Barrier, Event, Thread, local

import pytest
from sqlalchemy import Connection, delete, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from fhirbridge.store import tables
from fhirbridge.store.engine import Store, StoreError
from fhirbridge.store.tables import evidence, lane, meta
from fhirbridge.store.upsert import insert as upsert


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    made = Store(database)
    yield made
    made.close()


def note(tx: Connection, *names: str) -> None:
    for name in names:
        tx.execute(insert(meta).values(name=name, value="x"))


def names(store: Store) -> set[str]:
    with store.read() as tx:
        return set(tx.scalars(select(meta.c.name))) - {"schema"}


def keep_evidence(store: Store) -> None:
    texts = dict.fromkeys([one.name for one in evidence.c if str(one.type) == "TEXT"], "")
    with store.begin() as tx:
        tx.execute(insert(evidence).values(**texts | {"id": "e-1"}, payload=b"", salt=b""))


def test_a_new_database_is_good_and_making_it_again_changes_nothing(store: Store) -> None:
    with store.begin() as tx:
        note(tx, "one")

    store.create()

    store.check()
    assert store.is_made()
    assert names(store) == {"one"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_any_exception_takes_back_the_whole_transaction(
    store: Store, error: type[BaseException]
) -> None:
    def change(tx: Connection) -> None:
        note(tx, "one")
        raise error

    with pytest.raises(error):
        store.commit(change)
    with pytest.raises(error), store.begin() as tx:
        change(tx)

    assert names(store) == set()


def test_a_row_that_breaks_a_rule_takes_the_rows_before_it_back(store: Store) -> None:
    with pytest.raises(IntegrityError):
        store.commit(lambda tx: note(tx, "one", "one"))

    assert names(store) == set()


def test_a_reader_sees_one_moment_and_writes_nothing(store: Store) -> None:
    with store.read() as tx:
        before = set(tx.scalars(select(meta.c.name)))
        if store.path is None:  # this SQLite may have no WAL, and then nobody writes meanwhile
            store.commit(lambda other: note(other, "one"))
        assert set(tx.scalars(select(meta.c.name))) == before

    with suppress(SQLAlchemyError), store.read() as tx:  # PostgreSQL refuses, SQLite forgets
        note(tx, "two")

    assert "two" not in names(store)


def test_two_who_add_to_what_they_read_add_both(store: Store) -> None:
    with store.begin() as tx:
        tx.execute(insert(meta).values(name="sum", value="0"))
    meet, tried = Barrier(2), local()

    def add(tx: Connection) -> None:
        known = int(tx.scalars(select(meta.c.value).where(meta.c.name == "sum")).one())
        if store.path is None and not hasattr(tried, "once"):
            tried.once = True
            meet.wait(20)  # both have read before either writes
        tx.execute(update(meta).where(meta.c.name == "sum").values(value=str(known + 1)))

    _at_once(store, add, 2)

    with store.read() as tx:
        assert tx.scalars(select(meta.c.value).where(meta.c.name == "sum")).one() == "2"


def test_a_sequence_is_given_out_once_for_each_and_without_a_gap(store: Store) -> None:
    given: list[int] = []

    def take(tx: Connection) -> int:
        first = upsert(lane).values(destination="e", lane="p", sequence=1, fence=0, leased_until="")
        more = first.on_conflict_do_update(
            index_elements=["destination", "lane"], set_={"sequence": lane.c.sequence + 1}
        )
        return int(tx.execute(more.returning(lane.c.sequence)).scalar_one())

    def take_some() -> None:
        given.extend(store.commit(take) for _ in range(5))

    threads = [Thread(target=take_some) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(given) == list(range(1, 21))


def test_who_began_to_write_keeps_every_other_writer_out_until_he_ends(store: Store) -> None:
    order, began = [], Event()

    def other() -> None:
        began.set()
        store.commit(lambda _tx: order.append("commit"))
        with store.begin():
            order.append("begin")

    with store.begin():
        thread = Thread(target=other)
        thread.start()
        began.wait(20)
        thread.join(0.2)
        order.append("first")
    thread.join()

    assert order == ["first", "commit", "begin"]


@pytest.mark.parametrize(
    "change",
    [
        update(evidence).values(actor="other"),
        delete(evidence),
        insert(evidence).from_select(evidence.c.keys(), select(evidence)),
    ],
)
def test_s18_evidence_is_never_changed_removed_or_replaced(store: Store, change: object) -> None:
    keep_evidence(store)

    with pytest.raises(IntegrityError), store.begin() as tx:
        tx.execute(change)  # type: ignore[call-overload]

    with store.read() as tx:
        assert [row.id for row in tx.execute(select(evidence))] == ["e-1"]


def test_texts_are_ordered_by_their_bytes(store: Store) -> None:
    written = ["a", "B", "_", "Z", "b", "2026-03-02T14:00:00.000000Z", "2026-03-02T14:00:00Z", "é"]
    with store.begin() as tx:
        note(tx, *written)

    with store.read() as tx:
        ordered = tx.scalars(
            select(meta.c.name).where(meta.c.name != "schema").order_by(meta.c.name)
        )
        assert list(ordered) == sorted(written, key=str.encode)
        above = tx.scalars(select(meta.c.name).where(meta.c.name > "Z", meta.c.name != "schema"))
        assert set(above) == {"_", "a", "b", "é"}


def test_an_error_never_names_what_was_written(store: Store) -> None:
    with pytest.raises(IntegrityError) as twice, store.begin() as tx:
        note(tx, "Zq-Rosalind", "Zq-Rosalind")
    with pytest.raises(StoreError) as wrong, store.begin() as tx:
        tx.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Zq-Rosalind"})

    causes = [twice.value, twice.value.__cause__, wrong.value, wrong.value.__cause__]
    assert not [one for one in causes if "Zq-Rosalind" in f"{one} {one!r}"]


@pytest.mark.parametrize("schema", ["1", "2", "99", "0", "", "one"])
def test_p12_a_database_of_another_schema_is_refused(store: Store, schema: str) -> None:
    with store.begin() as tx:
        tx.execute(update(meta).values(value=schema))

    with pytest.raises(StoreError) as refused:
        store.check()

    assert f"schema {schema}" in refused.value.message
    assert refused.value.hint


def test_every_table_and_index_is_there(store: Store) -> None:
    with store.read() as tx:
        there = inspect(tx)
        of_procrastinate = JOB_TABLES if store.path is None else set()
        assert set(there.get_table_names()) == set(tables.metadata.tables) | of_procrastinate
        for table in tables.metadata.sorted_tables:
            assert {str(one.name) for one in table.indexes} <= {
                str(one["name"]) for one in there.get_indexes(table.name)
            }


JOB_TABLES = {f"procrastinate_{name}" for name in ("events", "jobs", "periodic_defers", "workers")}


def _at_once(store: Store, work: object, count: int) -> None:
    threads = [Thread(target=store.commit, args=(work,)) for _ in range(count)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
