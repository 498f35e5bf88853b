"""How much room is left where the database lies."""

import shutil
from pathlib import Path

import pytest

from fhirbridge.store import room
from fhirbridge.store.room import Disk, NoRoomError, Room


def test_the_disk_of_a_file_is_measured_with_what_the_database_takes(tmp_path: Path) -> None:
    for name, size in (("a.db", 1000), ("a.db-wal", 300), ("a.db-shm", 20), ("other", 5000)):
        (tmp_path / name).write_bytes(b"x" * size)

    found = room.beside(f"sqlite:///{tmp_path / 'a.db'}", least=0).measure()

    assert found is not None
    assert found.used == 1320
    assert 0 < found.free <= shutil.disk_usage(tmp_path).total


def test_a_database_that_is_not_made_yet_takes_nothing(tmp_path: Path) -> None:
    found = room.beside(f"sqlite:///{tmp_path / 'a.db'}", least=0).measure()

    assert found is not None
    assert found.used == 0


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:////no/such/folder/a.db", "nonsense",
            "postgresql://127.0.0.1/fhirbridge"],
)  # fmt: skip
def test_of_what_lies_on_no_disk_here_nothing_is_said_and_nothing_is_refused(url: str) -> None:
    disk = room.beside(url, least=10**15)

    assert disk.measure() is None
    disk.check()


@pytest.mark.parametrize(
    ("free", "low", "full"),
    [
        (1000, False, False),
        (999, True, False),
        (100, True, False),
        (99, True, True),
        (0, True, True),
    ],
)
def test_it_is_low_below_the_limit_and_full_below_a_tenth(
    free: int, *, low: bool, full: bool
) -> None:
    left = Room(free=free, used=1)
    disk = Disk(measure=lambda: left, least=1000)

    assert (disk.is_low(left), disk.is_full(left)) == (low, full)
    if full:
        with pytest.raises(NoRoomError):
            disk.check()
    else:
        disk.check()


def test_without_a_limit_nothing_is_ever_too_little() -> None:
    empty = Room(free=0, used=1)
    disk = Disk(measure=lambda: empty, least=0)

    assert not disk.is_low(empty)
    disk.check()
