"""Each evidence row gets one place in the tree, whenever it was written and whoever writes it."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DatabaseError

from fhirbridge.audit import checkpoints, notes, places, tree
from fhirbridge.audit.checkpoints import Checkpoints, SigningKeyError
from fhirbridge.audit.log import LEAF_FIELDS, Action, Entry, EvidenceLog, leaf_hash
from fhirbridge.store.engine import Store
from fhirbridge.store.evidence_tables import evidence_node, evidence_place
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import evidence
from tests.fakes import FrozenClock, SeededRng

SEED, NEXT = bytes(range(32)), bytes(range(1, 33))
HOUR = timedelta(hours=1)


class Log:
    """An evidence log with its checkpoints."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.rng = store, FrozenClock(), SeededRng()
        self.written = EvidenceLog(
            clock=self.clock, rng=self.rng, vault=Vault(bytes(range(32)), self.rng)
        )
        self.seed = SEED
        self.checkpoints = Checkpoints(
            origin="clinic.invalid/main/evidence", rng=self.rng, seed=lambda: self.seed
        )

    def write(self, tx: Connection, count: int = 1) -> list[str]:
        entry = Entry(actor="test", action=Action.RECORD_READ)
        return [self.written.append(tx, entry) for _ in range(count)]

    def numbers(self) -> dict[int, str]:
        with self.store.read() as tx:
            return {row.number: row.id for row in tx.execute(select(evidence_place))}

    def give(self) -> int:
        with self.store.begin() as tx:
            return places.give(tx)

    def sign(self) -> checkpoints.Signed:
        with self.store.begin() as tx:
            return self.checkpoints.make(tx, self.clock.now())

    def damage(self) -> str:
        with self.store.read() as tx:
            return places.damage(
                tx,
                lambda row: leaf_hash(row.salt, {one: getattr(row, one) for one in LEAF_FIELDS}),
                places.size(tx),
            )


@pytest.fixture
def log(either: str) -> Iterator[Log]:
    """A log on each database."""
    store = Store(either)
    store.create()
    yield Log(store)
    store.close()


def test_rows_are_numbered_from_0_on_without_a_gap_and_once(log: Log) -> None:
    with log.store.begin() as tx:
        first = log.write(tx, 3)
    assert log.give() == 3
    log.clock.advance(HOUR)
    with log.store.begin() as tx:
        second = log.write(tx, 2)

    assert [log.give(), log.give()] == [2, 0]
    assert list(log.numbers()) == [0, 1, 2, 3, 4]
    assert set(list(log.numbers().values())[:3]) == set(first)
    assert set(list(log.numbers().values())[3:]) == set(second)


def test_p14_a_row_whose_writer_ended_late_gets_the_next_place(log: Log) -> None:
    with log.store.begin() as tx:
        (early,) = log.write(tx)
    log.clock.advance(HOUR)
    with log.store.begin() as tx:
        log.write(tx)
    log.give()
    log.clock.advance(-2 * HOUR)  # begun before both, committed after both were numbered
    with log.store.begin() as tx:
        (late,) = log.write(tx)
    log.give()

    assert log.numbers()[0] == early
    assert log.numbers()[2] == late


def test_what_was_rolled_back_waits_for_no_place(log: Log) -> None:
    with suppress(ZeroDivisionError), log.store.begin() as tx:
        log.write(tx)
        raise ZeroDivisionError

    assert log.give() == 0


def test_the_stored_tree_is_the_tree_of_the_rows(log: Log) -> None:
    for count in (1, 4, 2, 9):
        with log.store.begin() as tx:
            log.write(tx, count)
        log.give()

    with log.store.read() as tx:
        node, size = places.node_of(tx), places.size(tx)
        leaves = tx.scalars(
            select(evidence.c.leaf)
            .join(evidence_place, evidence_place.c.id == evidence.c.id)
            .order_by(evidence_place.c.number)
        )
        expected: dict[tuple[int, int], bytes] = {}

        def made_so_far(*of: int) -> bytes:
            return expected[of[0], of[1]]

        for number, leaf in enumerate(leaves):
            made = tree.completed(number, bytes.fromhex(leaf), made_so_far)
            expected |= {(level, index): digest for level, index, digest in made}
        assert size == 16
        assert tree.root(size, node) == tree.root(size, made_so_far)
        stored = tx.execute(select(evidence_node)).all()
        assert {(row.level, row.number): bytes(row.hash) for row in stored} == expected


def test_a_checkpoint_says_the_root_of_all_rows_and_is_made_once(log: Log) -> None:
    with log.store.begin() as tx:
        log.write(tx, 5)

    signed = log.sign()
    with log.store.read() as tx:
        (key,) = checkpoints.keys(tx)
        root = tree.root(5, places.node_of(tx))

    said, by = notes.opened(signed.note, [key.verifier])
    assert (said.size, said.root, by) == (5, root, (key.verifier.id,))
    assert log.sign() == signed


def test_e3_after_a_rotation_the_first_checkpoint_has_both_signatures(log: Log) -> None:
    log.sign()
    with log.store.begin() as tx:
        new = log.checkpoints.rotate(tx, log.clock.now(), NEXT, lost=False)
    with pytest.raises(SigningKeyError):
        log.sign()
    log.seed = NEXT
    signed = log.sign()

    with log.store.read() as tx:
        old, current = checkpoints.keys(tx)
    assert (old.until != "", current.until, current.verifier) == (True, "", new)
    assert len(notes.opened(signed.note, [old.verifier, current.verifier])[1]) == 2


def test_e3_a_key_that_signed_before_never_signs_again(log: Log) -> None:
    log.sign()

    with pytest.raises(SigningKeyError), log.store.begin() as tx:
        log.checkpoints.rotate(tx, log.clock.now(), SEED, lost=False)


def test_places_and_checkpoints_are_kept(log: Log) -> None:
    with log.store.begin() as tx:
        log.write(tx)
    log.sign()

    for statement in (
        "UPDATE evidence_place SET number = 9",
        "DELETE FROM evidence_place",
        "UPDATE checkpoint SET note = ''",
        "DELETE FROM checkpoint",
    ):
        with pytest.raises(DatabaseError), log.store.begin() as tx:
            tx.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE evidence SET actor = 'nobody' WHERE id = :of", "row number 2 ("),
        ("DELETE FROM evidence WHERE id = :of", "row number 2 was removed"),
        ("UPDATE evidence_node SET hash = x'00' WHERE level = 0 AND number = 2", "row number 2 ("),
    ],
)
def test_e1_a_row_that_was_changed_in_the_database_is_named(
    tmp_path: object, statement: str, found: str
) -> None:
    log = Log(Store(f"sqlite:///{tmp_path}/test.db"))
    log.store.create()
    with log.store.begin() as tx:
        log.write(tx, 5)
    log.sign()
    assert log.damage() == ""
    with log.store.begin() as tx:
        for trigger in ("is_fixed", "is_kept"):
            tx.execute(text(f"DROP TRIGGER evidence_{trigger}"))
        tx.execute(text(statement), {"of": log.numbers()[2]} if ":of" in statement else {})

    assert log.damage().startswith(found)
    log.store.close()
