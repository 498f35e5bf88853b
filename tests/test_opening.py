"""S20: keys lie in files of their own, closed to others; without them nothing starts."""

import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fhirbridge import opening
from fhirbridge.access.tokens import Role
from fhirbridge.clock import SystemClock
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.way import DIRECT
from fhirbridge.errors import BridgeError
from fhirbridge.opening import AlreadyThereError, KeyFileError
from fhirbridge.settings import Settings, packaged_mappings
from fhirbridge.store.engine import StoreError
from fhirbridge.store.sealed import KeyMismatchError
from tests.fakes import SeededRng

KEYS = ["master_key_file", "site_key_file"]


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    return Settings(
        home=home,
        database_url=f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
        evidence_key_file=home / "evidence.key",
        mappings=packaged_mappings(),
        site="clinic.invalid",
        tenant="main",
        bind="127.0.0.1:0",
        ca_file=None,
        quarantine_days=30,
        quarantine_most=100,
        most_bytes=2_000_000,
        watch_seconds=60,
    )


@pytest.fixture
def made(chosen: Settings) -> Settings:
    """Settings of a bridge that was made."""
    opening.initialise(chosen)
    return chosen


def opens(chosen: Settings) -> bool:
    opening.open_bridge(chosen).close()
    return True


def contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


# --- making -------------------------------------------------------------------------------------


def test_a_new_bridge_opens_and_its_first_token_is_an_admins(chosen: Settings) -> None:
    secret = opening.initialise(chosen)

    bridge = opening.open_bridge(chosen)
    caller = bridge.authenticate(secret)
    bridge.close()

    assert caller is not None
    assert (caller.name, caller.role) == ("first", Role.ADMIN)


def test_what_was_made_is_its_owners_alone(made: Settings) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.home.iterdir()}

    assert stat.S_IMODE(made.home.stat().st_mode) == 0o700
    assert set(modes) >= {"fhirbridge.db", "master.key", "site.key"}
    assert set(modes.values()) == {0o600}


def test_a_generous_umask_opens_nothing(chosen: Settings) -> None:
    before = os.umask(0)
    try:
        opening.initialise(chosen)
    finally:
        os.umask(before)

    assert {stat.S_IMODE(path.stat().st_mode) for path in chosen.home.iterdir()} == {0o600}


def test_keys_differ_from_each_other_and_from_those_of_the_next_bridge(
    made: Settings, tmp_path: Path
) -> None:
    other = replace(
        made,
        home=tmp_path / "b",
        database_url=f"sqlite:///{tmp_path / 'b' / 'b.db'}",
        master_key_file=tmp_path / "b" / "m",
        site_key_file=tmp_path / "b" / "s",
    )
    opening.initialise(other)

    keys = [getattr(one, name).read_text() for one in (made, other) for name in KEYS]

    assert len(set(keys)) == 4
    assert all(len(bytes.fromhex(key)) == 32 for key in keys)


def test_no_key_and_no_token_stands_in_the_database(chosen: Settings) -> None:
    secret = opening.initialise(chosen)
    raw = b"".join(path.read_bytes() for path in chosen.home.glob("fhirbridge.db*"))

    for name in KEYS:
        key = getattr(chosen, name).read_text().strip()
        assert key.encode() not in raw
        assert bytes.fromhex(key) not in raw
    assert secret.encode() not in raw


def test_making_it_again_changes_nothing(made: Settings) -> None:
    before = contents(made.home)

    with pytest.raises(AlreadyThereError, match="nothing was changed"):
        opening.initialise(made)

    assert contents(made.home) == before


@pytest.mark.parametrize("lost", KEYS)
def test_a_lost_key_is_not_made_anew(made: Settings, lost: str) -> None:
    getattr(made, lost).unlink()
    before = contents(made.home)

    with pytest.raises(AlreadyThereError):
        opening.initialise(made)

    assert contents(made.home) == before


def test_a_database_that_lost_both_keys_gets_no_others(made: Settings) -> None:
    for name in KEYS:
        getattr(made, name).unlink()
    before = contents(made.home)

    with pytest.raises(AlreadyThereError) as refused:
        opening.initialise(made)

    assert "database" in refused.value.message
    assert contents(made.home) == before


# --- opening ------------------------------------------------------------------------------------


def test_it_opens_as_often_as_asked(made: Settings) -> None:
    assert opens(made)
    assert opens(made)


@pytest.mark.parametrize("name", KEYS)
def test_a_missing_key_file_is_named_and_init_is_the_way_out(made: Settings, name: str) -> None:
    getattr(made, name).unlink()

    with pytest.raises(KeyFileError) as refused:
        opens(made)

    assert getattr(made, name).name in refused.value.message
    assert str(made.home) not in refused.value.message
    assert not getattr(made, name).exists()


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601, 0o777])
def test_a_key_file_that_others_may_use_is_refused(made: Settings, name: str, mode: int) -> None:
    getattr(made, name).chmod(mode)

    with pytest.raises(KeyFileError) as refused:
        opens(made)

    assert "open to other users" in refused.value.message
    assert refused.value.hint == f"chmod 600 {getattr(made, name).name}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_of_its_owner_is_accepted(made: Settings, mode: int) -> None:
    made.master_key_file.chmod(mode)

    assert opens(made)


WRONG_KEYS = {
    "all zero": b"00" * 32,
    "one byte over and over": b"ff" * 32,
    "a byte short": b"ab" * 15 + b"cd" * 16,
    "a byte long": b"ab" * 16 + b"cd" * 17,
    "half a byte": b"abc",
    "empty": b"",
    "a line end": b"\n",
    "not hexadecimal": b"zz" * 32,
    "raw bytes": bytes(range(224, 256)),
    "text": b"change me please",
}


@pytest.mark.parametrize("name", KEYS)
@pytest.mark.parametrize("raw", WRONG_KEYS.values(), ids=WRONG_KEYS)
def test_what_is_no_key_of_32_bytes_is_refused_and_not_repeated(
    made: Settings, name: str, raw: bytes
) -> None:
    getattr(made, name).write_bytes(raw)

    with pytest.raises(KeyFileError) as refused:
        opens(made)

    told = refused.value.message + refused.value.hint
    assert len(raw) < 4 or raw.decode("latin-1") not in told
    assert "backup" in refused.value.hint


def test_a_folder_is_no_key_file(made: Settings) -> None:
    made.master_key_file.unlink()
    made.master_key_file.mkdir(mode=0o700)

    with pytest.raises(KeyFileError):
        opens(made)


@pytest.mark.parametrize(
    ("name", "told"), [("master_key_file", "master key"), ("site_key_file", "site key")]
)
def test_another_installations_key_is_refused(made: Settings, name: str, told: str) -> None:
    getattr(made, name).write_text(SeededRng().token(32).hex())

    with pytest.raises(KeyMismatchError, match=told):
        opens(made)


def test_keys_that_were_exchanged_are_refused(made: Settings) -> None:
    master, site = (getattr(made, name).read_text() for name in KEYS)
    made.master_key_file.write_text(site)
    made.site_key_file.write_text(master)

    with pytest.raises(KeyMismatchError):
        opens(made)


def test_keys_without_their_database_do_not_start_a_second_one(made: Settings) -> None:
    (made.home / "fhirbridge.db").unlink()

    with pytest.raises(StoreError):
        opens(made)


@pytest.mark.parametrize("key", ["master-key", "site-key"])
def test_a_database_that_forgot_its_keys_takes_no_others(made: Settings, key: str) -> None:
    with closing(sqlite3.connect(made.home / "fhirbridge.db")) as connection:
        connection.execute("DELETE FROM meta WHERE name = ?", (key,))
        connection.commit()

    with pytest.raises(BridgeError):
        opens(made)


# --- ways out -----------------------------------------------------------------------------------


DESTINATION = Destination(
    name="ehr",
    base_url="https://ehr.example.org/fhir",
    mode=Mode.UNPROVEN,
    traits={},
    requires_consent=False,
    test_server=False,
    overlay="",
    networks=(),
    paused="",
)


@pytest.mark.parametrize(
    "other",
    [
        replace(DESTINATION, networks=("10.20.0.0/16",)),
        replace(DESTINATION, base_url="http://127.0.0.1:8080/fhir"),
        replace(DESTINATION, name="second"),
    ],
    ids=["other networks", "another address", "another name"],
)
def test_a_destination_never_uses_the_way_of_an_earlier_one_of_its_name(
    made: Settings, other: Destination
) -> None:
    wires = opening.Wires(made, SystemClock())
    ways = [
        wires.connect(one, DIRECT)
        for one in (DESTINATION, other, DESTINATION, replace(DESTINATION, paused="x"))
    ]

    assert ways[0] is ways[2] is ways[3]
    assert ways[1] is not ways[0]
