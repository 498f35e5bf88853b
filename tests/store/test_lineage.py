"""A database that went back to an old copy of itself is noticed; a crash in between is not that."""

import shutil
from pathlib import Path

from fhirbridge.store import lineage
from fhirbridge.store.engine import Store
from tests.fakes import SeededRng


def a_store(folder: Path) -> Store:
    store = Store(f"sqlite:///{folder / 'x.db'}")
    store.create()
    return store


def turn(store: Store, rng: SeededRng) -> bool:
    with store.begin() as tx:
        return lineage.turn(tx, store, rng)


def test_the_same_database_is_itself_however_often_it_is_used(tmp_path: Path) -> None:
    store, rng = a_store(tmp_path), SeededRng()

    assert [turn(store, rng) for _ in range(4)] == [True] * 4
    assert (tmp_path / "x.db.lineage").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in tmp_path.glob("x.db.lineage*")) == ["x.db.lineage"]


def test_p11_an_old_copy_put_back_is_noticed_once(tmp_path: Path) -> None:
    store, rng = a_store(tmp_path), SeededRng()
    turn(store, rng)
    store.close()
    shutil.copyfile(tmp_path / "x.db", tmp_path / "backup")
    for _ in range(2):
        turn(store, rng)
    store.close()
    for left in tmp_path.glob("x.db-*"):
        left.unlink()
    shutil.copyfile(tmp_path / "backup", tmp_path / "x.db")

    assert [turn(store, rng) for _ in range(3)] == [False, True, True]


def test_a_copy_from_before_the_first_use_is_noticed(tmp_path: Path) -> None:
    rng = SeededRng()
    store = a_store(tmp_path)
    turn(store, rng)
    store.close()
    for left in tmp_path.glob("x.db*"):
        if left.name != "x.db.lineage":
            left.unlink()

    assert turn(a_store(tmp_path), rng) is False


def test_a_database_that_comes_to_a_place_without_its_file_is_noticed(tmp_path: Path) -> None:
    store, rng = a_store(tmp_path), SeededRng()
    turn(store, rng)
    (tmp_path / "x.db.lineage").unlink()

    assert [turn(store, rng), turn(store, rng)] == [False, True]


def test_a_crash_between_the_file_and_the_database_is_no_alarm(tmp_path: Path) -> None:
    store, rng = a_store(tmp_path), SeededRng()
    turn(store, rng)
    store.close()
    shutil.copyfile(tmp_path / "x.db", tmp_path / "before")
    turn(store, rng)
    store.close()
    for left in tmp_path.glob("x.db-*"):
        left.unlink()
    shutil.copyfile(tmp_path / "before", tmp_path / "x.db")  # the file was written, nothing else

    assert turn(store, rng) is True


def test_a_crash_between_the_file_and_the_database_lets_no_old_copy_pass(tmp_path: Path) -> None:
    store, rng = a_store(tmp_path), SeededRng()
    turn(store, rng)
    (tmp_path / "x.db.lineage").unlink()
    store.close()
    shutil.copyfile(tmp_path / "x.db", tmp_path / "before")
    assert turn(store, rng) is False
    store.close()
    for left in tmp_path.glob("x.db-*"):
        left.unlink()
    shutil.copyfile(tmp_path / "before", tmp_path / "x.db")  # the file was written, nothing else

    assert turn(store, rng) is False


def test_a_database_in_memory_has_no_past() -> None:
    store = Store("sqlite://")
    store.create()

    assert turn(store, SeededRng()) is True
