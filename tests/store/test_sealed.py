"""S19: payloads are sealed to their row, under keys that lie outside the database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select, text

from fhirbridge.fhir import codec
from fhirbridge.records.schema import InvalidRecordError
from fhirbridge.store import sealed
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import KeyMismatchError, ShreddedError, TamperedError, Vault
from fhirbridge.store.tables import evidence, meta, payload_key, record, resource
from tests.factories import World, a_visit, amended
from tests.fakes import SeededRng
from tests.journey.canaries import hits, record_with_canaries

MASTER, OTHER, SITE = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
PLAIN = b"Zq-Rosalind"


@pytest.fixture
def tx() -> Iterator[Connection]:
    store = Store("sqlite://")
    store.create()
    with store.begin() as made:
        yield made
    store.close()


@pytest.fixture
def vault() -> Vault:
    return Vault(MASTER, SeededRng())


# --- one payload --------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=40))
def test_what_was_sealed_for_a_row_opens_for_that_row(plain: bytes, row: str) -> None:
    vault = Vault(MASTER, SeededRng())
    row = row.encode("utf-8", "ignore").decode()

    assert vault.unseal(OTHER, vault.seal(OTHER, plain, row), row) == plain


@pytest.mark.parametrize(
    ("key", "row"),
    [
        (OTHER, "record:2"),
        (OTHER, "record:1 "),
        (OTHER, ""),
        (OTHER, "resource:1"),
        (SITE, "record:1"),
    ],
)
def test_it_opens_for_no_other_row_and_under_no_other_key(
    vault: Vault, key: bytes, row: str
) -> None:
    closed = vault.seal(OTHER, PLAIN, "record:1")

    with pytest.raises(TamperedError) as refused:
        vault.unseal(key, closed, row)

    assert "Rosalind" not in str(refused.value)


def test_every_changed_byte_and_every_cut_is_noticed(vault: Vault) -> None:
    closed = vault.seal(OTHER, PLAIN, "record:1")
    flipped = [
        closed[:place] + bytes([closed[place] ^ 1]) + closed[place + 1 :]
        for place in range(len(closed))
    ]
    cut = [closed[:length] for length in range(len(closed))]

    for wrong in [*flipped, *cut, closed + b"\0"]:
        with pytest.raises(TamperedError):
            vault.unseal(OTHER, wrong, "record:1")


def test_the_same_payload_never_looks_the_same_twice(vault: Vault) -> None:
    looks = {vault.seal(OTHER, PLAIN, "record:1") for _ in range(50)}

    assert len({look[: sealed.NONCE_BYTES] for look in looks}) == 50
    assert not any(PLAIN in look for look in looks)


# --- the key of each record ---------------------------------------------------------------------


def test_each_owner_has_a_key_of_its_own_and_the_database_holds_it_wrapped(
    tx: Connection, vault: Vault
) -> None:
    keys = [vault.new_key(tx, owner) for owner in ("a", "b")]

    assert len(set(keys)) == 2
    assert [vault.key(tx, owner) for owner in ("a", "b")] == keys
    stored = tx.scalars(select(payload_key.c.wrapped)).all()
    assert not [1 for wrapped in stored for key in keys if key in wrapped]


def test_a_wrapped_key_serves_no_other_owner(tx: Connection, vault: Vault) -> None:
    vault.new_key(tx, "a")
    vault.new_key(tx, "b")
    tx.execute(
        text("UPDATE payload_key SET wrapped = (SELECT wrapped FROM payload_key WHERE owner = 'a')")
    )

    assert vault.key(tx, "a")
    with pytest.raises(TamperedError):
        vault.key(tx, "b")


def test_another_master_key_opens_nothing(tx: Connection, vault: Vault) -> None:
    vault.new_key(tx, "a")

    with pytest.raises(TamperedError):
        Vault(OTHER, SeededRng()).key(tx, "a")


def test_what_was_shredded_is_gone_and_says_so(tx: Connection, vault: Vault) -> None:
    vault.new_key(tx, "a")
    vault.new_key(tx, "b")

    vault.shred(tx, "a", "2026-05-04T09:00:00.000000Z")

    with pytest.raises(ShreddedError) as gone:
        vault.key(tx, "a")
    assert gone.value.http_status == 410
    assert vault.key(tx, "b")
    row = tx.execute(select(payload_key).where(payload_key.c.owner == "a")).one()
    assert (row.wrapped, row.shredded_at) == (None, "2026-05-04T09:00:00.000000Z")


def test_nobody_can_have_a_key_that_was_never_made(tx: Connection, vault: Vault) -> None:
    with pytest.raises(ShreddedError):
        vault.key(tx, "nobody")


# --- hashes and fingerprints --------------------------------------------------------------------


def test_a_digest_needs_the_master_key_to_be_guessed_back(vault: Vault) -> None:
    digest = vault.digest("40 mg")

    assert digest == vault.digest("40 mg")
    assert digest != Vault(OTHER, SeededRng()).digest("40 mg")
    assert digest != vault.digest("45 mg")
    assert len(digest) == 64


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_master_key_of_another_length_is_no_key(size: int) -> None:
    with pytest.raises(KeyMismatchError):
        Vault(b"k" * size, SeededRng())


@pytest.mark.parametrize(
    ("master", "site", "told"), [(OTHER, SITE, "master key"), (MASTER, OTHER, "site key")]
)
def test_another_key_than_the_first_refuses_to_start(
    tx: Connection, vault: Vault, master: bytes, site: bytes, told: str
) -> None:
    vault.note_fingerprints(tx, site_key=SITE)
    vault.check_fingerprints(tx, site_key=SITE)

    with pytest.raises(KeyMismatchError) as refused:
        Vault(master, SeededRng()).check_fingerprints(tx, site_key=site)

    assert told in refused.value.message
    assert "put back the original" in refused.value.hint


def test_a_fingerprint_gives_no_key_away(tx: Connection, vault: Vault) -> None:
    vault.note_fingerprints(tx, site_key=SITE)

    kept = " ".join(tx.scalars(select(meta.c.value)))

    assert MASTER.hex() not in kept
    assert SITE.hex() not in kept
    assert sealed.fingerprint(MASTER) in kept


# --- the whole database -------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(url=f"sqlite:///{tmp_path / 'fhirbridge.db'}")
    yield made
    made.store.close()


def test_no_file_beside_the_database_holds_a_canary(world: World, tmp_path: Path) -> None:
    given, tokens = record_with_canaries()
    world.connect()
    receipt = world.take(given)
    world.take(amended(given, lambda new: new["vitals"].pop()))
    world.bridge.record(receipt.id, actor="test")
    with pytest.raises(InvalidRecordError):
        world.accept({**given, "version": "wrong"})

    while_open = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    world.store.close()
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert {name: hits(raw, tokens) for name, raw in while_open.items() if hits(raw, tokens)} == {}
    assert {name: hits(raw, tokens) for name, raw in after.items() if hits(raw, tokens)} == {}
    assert "fhirbridge.db" in after
    assert len(tokens) > 50
    # The same search does find them where they should be.
    assert hits(codec.encode(world.ehr.all_of("Patient")), tokens)


@pytest.mark.parametrize("table", [record, resource])
def test_a_payload_that_was_moved_to_another_row_is_not_shown_as_that_rows(
    world: World, table: object
) -> None:
    one, other = world.accept(a_visit(1)), world.accept(a_visit(2))
    moved = "record" if table is record else "resource"
    owner = "id" if table is record else "record_id"
    with world.store.begin() as tx:
        tx.execute(
            text(
                f"UPDATE {moved} SET sealed = (SELECT sealed FROM {moved} WHERE {owner} = :one "
                f"LIMIT 1) WHERE {owner} = :other"
            ),
            {"one": one.id, "other": other.id},
        )

    assert world.bridge.record(one.id, actor="test")
    with pytest.raises(TamperedError):
        world.bridge.record(other.id, actor="test")


def test_erasing_one_record_leaves_the_others_and_every_row_of_evidence(world: World) -> None:
    one, other = world.accept(a_visit(1)), world.accept(a_visit(2))
    with world.store.begin() as tx:
        before = tx.execute(select(evidence)).all()
        world.vault.shred(tx, one.id, "2026-05-04T09:00:00.000000Z")

    with pytest.raises(ShreddedError):
        world.bridge.record(one.id, actor="test")
    assert world.bridge.record(other.id, actor="test")
    with world.store.read() as tx:
        assert set(before) <= set(tx.execute(select(evidence)).all())
