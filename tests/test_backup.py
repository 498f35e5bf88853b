"""S35: a backup is whole or not there, opens for nobody else, and what is put back is noticed."""

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from fhirbridge import backup, opening
from fhirbridge.access.tokens import Role
from fhirbridge.backup import DATABASE, KEYS, MANIFEST, BackupError
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.settings import Settings
from fhirbridge.store import copying, lineage, sqlite
from fhirbridge.store.engine import Store
from tests.fakes import SeededRng
from tests.journey.canaries import hits, record_with_canaries
from tests.journey.installation import SERIES, Installation, install

PASSPHRASE = b"synthetic, long enough"
# Which moments of writing a backup are tried: each ends as a kill would.
MOMENTS = ("copy", "sync", "counts")


@pytest.fixture
def home(tmp_path: Path) -> Installation:
    made = install(tmp_path / "home")
    with made.bridge() as bridge:
        bridge.warm_up()
        bridge.accept(SERIES[0].read_bytes(), actor="test")
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "monday"


def elsewhere(settings: Settings, home: Path) -> Settings:
    """The settings of a new machine."""
    return replace(
        settings,
        home=home,
        database_url=f"sqlite:///{home / 'fhirbridge.db'}",
        master_key_file=home / "master.key",
        site_key_file=home / "site.key",
    )


def records(settings: Settings) -> int:
    bridge = opening.open_bridge(settings)
    try:
        return bridge.status().records
    finally:
        bridge.close()


def turn(store: Store, rng: SeededRng) -> bool:
    with store.begin() as tx:
        return lineage.turn(tx, store, rng)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(settings: Settings, folder: Path, passphrase: bytes | None = PASSPHRASE) -> str:
    with pytest.raises(BackupError) as error:
        backup.restore(settings, folder, passphrase)
    return error.value.message


def test_s35_on_a_new_machine_a_backup_brings_everything_back(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    made = backup.write(home.settings, folder, PASSPHRASE)
    there = elsewhere(home.settings, tmp_path / "new")

    found = backup.restore(there, folder, PASSPHRASE)

    assert found == made
    assert records(there) == records(home.settings) == 1
    assert {path.stat().st_mode & 0o777 for path in there.home.iterdir()} == {0o600}
    assert made.rows["record"] == 1
    with closing(sqlite3.connect(there.home / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_s35_neither_writing_nor_looking_changes_a_backup_where_the_journal_is_a_wal(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "wal_is_safe", lambda _version: True)
    home = install(tmp_path / "home")
    with home.bridge() as bridge:
        bridge.warm_up()
        bridge.accept(SERIES[0].read_bytes(), actor="test")
        backup.write(home.settings, folder, PASSPHRASE)
    before = contents(folder)

    backup.check(folder)

    assert contents(folder) == before


def test_s35_what_came_after_it_is_not_in_it_and_what_goes_on_is_not_disturbed(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    with home.bridge() as bridge:  # in use all the while
        bridge.warm_up()
        backup.write(home.settings, folder, PASSPHRASE)
        bridge.accept(SERIES[1].read_bytes(), actor="test")
        assert bridge.status().records == 2
    there = elsewhere(home.settings, tmp_path / "new")

    backup.restore(there, folder, PASSPHRASE)

    assert records(there) == 1


def test_p11_wherever_it_is_put_back_it_is_noticed_as_an_old_copy(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    """Also where the file beside the database is there still, and where nothing was sent yet."""
    backup.write(home.settings, folder, PASSPHRASE)
    there = elsewhere(home.settings, tmp_path / "new")
    backup.restore(there, folder, PASSPHRASE)
    store = Store(home.settings.database_url)
    turn(store, SeededRng(1))
    shutil.copyfile(folder / DATABASE, home.settings.home / DATABASE)
    rng = SeededRng(2)

    assert turn(Store(there.database_url), rng) is False
    assert turn(store, rng) is False
    assert turn(store, rng) is True, "it is noticed once"


def test_s35_an_api_token_that_was_revoked_since_opens_nothing_after_a_restore(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    with home.bridge() as bridge:
        lost = bridge.make_token(name="a lost laptop", role=Role.ADMIN, actor="test")
        made = backup.write(home.settings, folder, PASSPHRASE)
        bridge.revoke_token("a lost laptop", actor="test")
    there = elsewhere(home.settings, tmp_path / "new")
    backup.restore(there, folder, PASSPHRASE)

    with closing(opening.open_bridge(there)) as bridge:
        bridge.note_restore(made_at=made.made_at, actor="test")

        assert bridge.authenticate(lost) is None
        fresh = bridge.make_token(name="a new laptop", role=Role.ADMIN, actor="test")
        assert bridge.authenticate(fresh) is not None


@pytest.mark.parametrize("file", [DATABASE, KEYS, MANIFEST])
def test_s35_a_backup_of_which_a_byte_was_changed_is_not_put_back(
    home: Installation, folder: Path, tmp_path: Path, file: str
) -> None:
    backup.write(home.settings, folder, PASSPHRASE)
    raw = bytearray((folder / file).read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / file).write_bytes(raw)
    there = elsewhere(home.settings, tmp_path / "new")

    refused(there, folder)

    assert not there.home.exists()


def test_s35_a_file_that_was_added_or_removed_is_found(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    backup.write(home.settings, folder, PASSPHRASE)
    there = elsewhere(home.settings, tmp_path / "new")

    (folder / "extra").touch()
    assert "added or removed" in refused(there, folder)
    (folder / "extra").unlink()
    (folder / KEYS).unlink()
    assert "added or removed" in refused(there, folder)


def test_s35_another_passphrase_opens_no_keys(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    backup.write(home.settings, folder, PASSPHRASE)
    there = elsewhere(home.settings, tmp_path / "new")

    assert "does not open" in refused(there, folder, b"another one, long enough")
    assert not there.home.exists()


def test_s19_nothing_in_a_backup_can_be_read_without_the_passphrase(
    home: Installation, folder: Path
) -> None:
    record, tokens = record_with_canaries()
    with home.bridge() as bridge:
        bridge.warm_up()
        bridge.accept(codec.encode(record), actor="test")
    backup.write(home.settings, folder, PASSPHRASE)
    keys = [
        path.read_text().strip()
        for path in (home.settings.master_key_file, home.settings.site_key_file)
    ]

    everything = b"".join(contents(folder).values())

    assert b"SQLite format 3" in everything
    assert hits(everything, [*tokens, *keys]) == []


def test_safety_12_without_a_passphrase_the_keys_are_not_in_it_and_it_fits_no_others(
    home: Installation, folder: Path, tmp_path: Path
) -> None:
    made = backup.write(home.settings, folder, None)
    there = elsewhere(home.settings, tmp_path / "new")
    other = install(tmp_path / "other").settings

    assert KEYS not in made.files
    assert "keys are missing" in refused(there, folder, None)
    there.home.mkdir()
    shutil.copy2(other.master_key_file, there.master_key_file)
    shutil.copy2(other.site_key_file, there.site_key_file)
    assert "master.key is another key" in refused(there, folder, None)
    shutil.copy2(home.settings.master_key_file, there.master_key_file)
    assert "site.key is another key" in refused(there, folder, None)
    shutil.copy2(home.settings.site_key_file, there.site_key_file)
    backup.restore(there, folder, None)
    assert records(there) == 1


def test_a_database_that_is_there_is_never_overwritten(home: Installation, folder: Path) -> None:
    backup.write(home.settings, folder, PASSPHRASE)
    before = contents(home.settings.home)

    assert "a database already" in refused(home.settings, folder)
    assert contents(home.settings.home) == before


@pytest.mark.parametrize("ending", ["-wal", "-journal", "-shm"])
def test_p10_a_journal_that_was_left_behind_is_not_applied_to_what_is_put_back(
    home: Installation, folder: Path, tmp_path: Path, ending: str
) -> None:
    backup.write(home.settings, folder, PASSPHRASE)
    there = elsewhere(home.settings, tmp_path / "new")
    there.home.mkdir()
    (there.home / f"fhirbridge.db{ending}").touch()

    assert f"fhirbridge.db{ending}" in refused(there, folder)


def test_a_folder_that_is_there_is_never_overwritten(home: Installation, folder: Path) -> None:
    folder.mkdir()

    with pytest.raises(BackupError, match="is there already"):
        backup.write(home.settings, folder, PASSPHRASE)

    assert contents(folder) == {}


def test_a_short_passphrase_is_refused_before_anything_is_written(
    home: Installation, folder: Path
) -> None:
    with pytest.raises(BackupError, match="fewer than 16"):
        backup.write(home.settings, folder, b"short")

    assert list(folder.parent.glob("*monday*")) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_e04_a_backup_that_breaks_off_is_not_there(
    home: Installation, folder: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(copying, moment, breaks_off)
        with pytest.raises(KeyboardInterrupt):
            backup.write(home.settings, folder, PASSPHRASE)
    assert list(folder.parent.glob("*monday*")) == []

    backup.write(home.settings, folder, PASSPHRASE)

    assert backup.check(folder) == backup.check(folder), "looking changes nothing"


def test_p07_a_full_disk_is_told_and_leaves_nothing(
    home: Installation, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(copying, "sync", full)

    with pytest.raises(BackupError, match="No space left on device"):
        backup.write(home.settings, folder, PASSPHRASE)

    assert list(folder.parent.glob("*monday*")) == []


def test_what_a_kill_left_of_a_backup_goes_with_the_next_one(
    home: Installation, folder: Path
) -> None:
    left = folder.with_name(".monday.part")
    left.mkdir()
    (left / "half").touch()

    backup.write(home.settings, folder, PASSPHRASE)

    assert list(folder.parent.glob("*monday*")) == [folder]
    assert {one.name for one in folder.iterdir()} == {DATABASE, KEYS, MANIFEST}


def test_p10_a_damaged_database_makes_no_backup(home: Installation, folder: Path) -> None:
    path = home.settings.home / DATABASE
    raw = bytearray(path.read_bytes())
    raw[20_000:60_000] = bytes(40_000)
    path.write_bytes(raw)

    with pytest.raises(BridgeError):
        backup.write(home.settings, folder, PASSPHRASE)

    assert list(folder.parent.glob("*monday*")) == []
