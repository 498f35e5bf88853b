"""S18: evidence is written with the change, kept as it was, and says nothing about a patient."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, null, select, text, update
from sqlalchemy.exc import IntegrityError

from fhirbridge.audit.log import Action, Entry, EvidenceLog, leaf_hash
from fhirbridge.fhir import codec
from fhirbridge.records.schema import InvalidRecordError
from fhirbridge.store.engine import Store, StoreError
from fhirbridge.store.sealed import ShreddedError, TamperedError, Vault
from fhirbridge.store.tables import evidence, meta
from tests.factories import World
from tests.fakes import FrozenClock, SeededRng
from tests.journey.canaries import hits, record_with_canaries

FIELDS = [name for name in evidence.c.keys() if name not in ("payload", "salt", "leaf")]  # noqa: SIM118  columns
PAYLOAD = b'{"dose":40.50}\n'


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store("sqlite://")
    made.create()
    yield made
    made.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(bytes(range(32)), SeededRng())


@pytest.fixture
def log(vault: Vault) -> EvidenceLog:
    return EvidenceLog(clock=FrozenClock(), rng=SeededRng(2), vault=vault)


def entry(**more: Any) -> Entry:
    return Entry(actor="test", action=Action.RECORD_ACCEPTED, **more)


def row_of(tx: Connection, row_id: str) -> Any:
    return tx.execute(select(evidence).where(evidence.c.id == row_id)).one()


def test_a_row_says_who_what_when_about_what_and_how_it_ended(
    store: Store, log: EvidenceLog
) -> None:
    with store.begin() as tx:
        row_id = log.append(
            tx,
            Entry(
                actor="token:clinic",
                action=Action.DELIVERY_ANSWERED,
                outcome="delivered",
                record_id="r1",
                delivery_id="d1",
                destination="ehr",
                detail={"b": 2, "a": 1},
            ),
        )
        row = row_of(tx, row_id)

    assert row.at == "2026-05-04T09:00:00.000000Z"
    assert (row.actor, row.action, row.outcome) == (
        "token:clinic",
        "delivery.answered",
        "delivered",
    )
    assert (row.record_id, row.delivery_id, row.destination) == ("r1", "d1", "ehr")
    assert row.detail == '{"a":1,"b":2}'
    assert (row.payload, row.payload_digest, row.payload_owner) == (None, "", "")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_no_change_no_row(store: Store, log: EvidenceLog, error: type[BaseException]) -> None:
    def change() -> None:
        with store.begin() as tx:
            log.append(tx, entry())
            raise error

    with pytest.raises(error):
        change()

    with store.read() as tx:
        assert tx.execute(select(evidence)).all() == []


def test_no_row_no_change(store: Store, log: EvidenceLog) -> None:
    with store.begin() as tx:
        tx.execute(text("DROP TABLE evidence"))

    def change() -> None:
        with store.begin() as tx:
            tx.execute(insert(meta).values(name="change", value="x"))
            log.append(tx, entry())

    with pytest.raises(StoreError):
        change()

    with store.read() as tx:
        assert tx.scalar(select(meta.c.value).where(meta.c.name == "change")) is None


@pytest.mark.parametrize("column", evidence.c.keys())
def test_no_column_of_a_row_can_be_changed(store: Store, log: EvidenceLog, column: str) -> None:
    with store.begin() as tx:
        row_id = log.append(tx, entry())
        before = row_of(tx, row_id)

    with pytest.raises(IntegrityError, match="append-only"), store.begin() as tx:
        tx.execute(update(evidence).values({column: null()}))

    with store.read() as tx:
        assert row_of(tx, row_id) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM evidence",
        "DELETE FROM evidence WHERE id = :id",
        "UPDATE evidence SET at = at",
        "UPDATE OR IGNORE evidence SET outcome = 'x'",
        "UPDATE OR REPLACE evidence SET outcome = 'x'",
        "REPLACE INTO evidence SELECT * FROM evidence",
        "INSERT OR REPLACE INTO evidence SELECT * FROM evidence WHERE id = :id",
        """INSERT INTO evidence SELECT * FROM evidence WHERE true
        ON CONFLICT DO UPDATE SET outcome = 'x'""",
    ],
)
def test_no_statement_takes_a_row_away_or_puts_another_in_its_place(
    store: Store, log: EvidenceLog, statement: str
) -> None:
    with store.begin() as tx:
        row_id = log.append(tx, entry())
        before = row_of(tx, row_id)

    with pytest.raises(IntegrityError, match="append-only"), store.begin() as tx:
        tx.execute(text(statement), {"id": row_id} if ":id" in statement else {})

    with store.read() as tx:
        assert tx.execute(select(evidence)).all() == [before]


def test_rows_come_after_rows(store: Store, log: EvidenceLog) -> None:
    with store.begin() as tx:
        ids = [log.append(tx, entry()) for _ in range(5)]
        rows = tx.execute(select(evidence)).all()

    assert len(set(ids)) == 5
    assert len({row.salt for row in rows}) == len({row.leaf for row in rows}) == 5


# --- the leaf -----------------------------------------------------------------------------------


def test_a_leaf_is_recomputed_from_its_row_alone(
    store: Store, log: EvidenceLog, vault: Vault
) -> None:
    with store.begin() as tx:
        vault.new_key(tx, "r1")
        made = [
            log.append(tx, entry()),
            log.append(tx, entry(payload_owner="r1", payload=PAYLOAD, detail={"count": 3})),
        ]
        rows = [row_of(tx, row_id) for row_id in made]

    for row in rows:
        fields = {name: getattr(row, name) for name in FIELDS}
        canonical = codec.canonical(fields)
        by_hand = hashlib.sha256(b"\x00" + row.salt + canonical).hexdigest()
        assert row.leaf == by_hand == leaf_hash(row.salt, fields)
        assert len(row.salt) == 16


@settings(deadline=None)
@given(st.sampled_from(FIELDS), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
def test_a_leaf_changes_with_any_field(field: str, value: str) -> None:
    fields = dict.fromkeys(FIELDS, "same")
    changed = {**fields, field: value}

    equal = leaf_hash(b"salt", fields) == leaf_hash(b"salt", changed)

    assert equal is (value == "same")
    assert leaf_hash(b"other", fields) != leaf_hash(b"salt", fields)


# --- the payload --------------------------------------------------------------------------------


def test_a_payload_opens_byte_for_byte_and_its_digest_is_of_these_bytes(
    store: Store, log: EvidenceLog, vault: Vault
) -> None:
    with store.begin() as tx:
        key = vault.new_key(tx, "r1")
        row_id = log.append(tx, entry(payload_owner="r1", payload=PAYLOAD))
        row = row_of(tx, row_id)

        assert log.payload(tx, row_id) == PAYLOAD
        salted = vault.unseal(key, row.payload, f"evidence:{row_id}")
        assert salted.endswith(PAYLOAD)
        assert row.payload_digest == hashlib.sha256(salted).hexdigest()
        assert row.payload_digest != hashlib.sha256(PAYLOAD).hexdigest()
        assert PAYLOAD not in row.payload


@pytest.mark.parametrize("payload", [b"", b"\x00\xff" * 1000])
def test_any_bytes_can_be_kept(
    store: Store, log: EvidenceLog, vault: Vault, payload: bytes
) -> None:
    with store.begin() as tx:
        vault.new_key(tx, "r1")

        assert (
            log.payload(tx, log.append(tx, entry(payload_owner="r1", payload=payload))) == payload
        )


def test_the_same_payload_twice_shows_no_likeness(
    store: Store, log: EvidenceLog, vault: Vault
) -> None:
    with store.begin() as tx:
        vault.new_key(tx, "r1")
        made = [log.append(tx, entry(payload_owner="r1", payload=PAYLOAD)) for _ in range(2)]
        one, other = (row_of(tx, row_id) for row_id in made)

    assert one.payload_digest != other.payload_digest
    assert one.payload != other.payload


def test_once_its_key_is_gone_the_payload_is_gone_and_the_leaf_still_holds(
    store: Store, log: EvidenceLog, vault: Vault
) -> None:
    with store.begin() as tx:
        vault.new_key(tx, "r1")
        row_id = log.append(tx, entry(payload_owner="r1", payload=PAYLOAD))
        vault.shred(tx, "r1", "2026-05-04T09:00:00.000000Z")
        row = row_of(tx, row_id)

        with pytest.raises(ShreddedError):
            log.payload(tx, row_id)
    assert row.leaf == leaf_hash(row.salt, {name: getattr(row, name) for name in FIELDS})


def test_a_payload_without_a_living_key_is_not_noted_as_if_it_were_kept(
    store: Store, log: EvidenceLog
) -> None:
    with pytest.raises(ShreddedError), store.begin() as tx:
        log.append(tx, entry(payload_owner="r1", payload=PAYLOAD))

    with store.read() as tx:
        assert tx.execute(select(evidence)).all() == []


def test_a_payload_does_not_open_for_another_row(
    store: Store, log: EvidenceLog, vault: Vault
) -> None:
    with store.begin() as tx:
        key = vault.new_key(tx, "r1")
        one, other = (log.append(tx, entry(payload_owner="r1", payload=PAYLOAD)) for _ in range(2))

        with pytest.raises(TamperedError):
            vault.unseal(key, row_of(tx, one).payload, f"evidence:{other}")


# --- no patient in it ---------------------------------------------------------------------------


def test_what_the_bridge_notes_holds_no_patients_value(tmp_path: Path) -> None:
    record, tokens = record_with_canaries()
    world = World(url=f"sqlite:///{tmp_path / 'fhirbridge.db'}")
    world.connect()
    world.take(record)
    world.take(record)
    with pytest.raises(InvalidRecordError):
        world.accept({**record, "version": "wrong", tokens[0]: tokens[1]})
    world.take({**record, "version": 2, "status": "entered-in-error"})
    world.bridge.refused(actor="nobody", reason="no token", route="/api/v1/sessions")

    with world.store.read() as tx:
        rows = tx.execute(select(evidence)).mappings().all()
    world.store.close()

    shown = repr([{name: row[name] for name in row if name != "payload"} for row in rows])
    assert hits(shown.encode(), tokens) == []
    assert {row["action"] for row in rows} >= {
        Action.RECORD_ACCEPTED,
        Action.RECORD_REPEATED,
        Action.RECORD_REFUSED,
        Action.DELIVERY_QUEUED,
        Action.DELIVERY_ANSWERED,
        Action.ACCESS_REFUSED,
    }
    assert all(row["leaf"] == leaf_hash(row["salt"], {n: row[n] for n in FIELDS}) for row in rows)
