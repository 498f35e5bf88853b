import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from fhirbridge.sandbox.storage import (
    MemoryStorage,
    SandboxFileError,
    SqliteStorage,
    Storage,
    Version,
)
from tests.sandbox.an_ehr import START, AnEhr, observation, patient


def version(resource_id: str = "a", number: int = 1, *, gone: bool = False) -> Version:
    resource = None if gone else patient(resource_id, weight=Decimal("72.50"))
    return Version(type="Patient", id=resource_id, number=number, updated=START, resource=resource)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sandbox.db"


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, path: Path) -> Iterator[Storage]:
    if request.param == "memory":
        yield MemoryStorage()
        return
    made = SqliteStorage(path)
    yield made
    made.close()


def add(storage: Storage, *versions: Version) -> None:
    with storage.atomically():
        for each in versions:
            storage.add(each)


def fail_after(storage: Storage, *versions: Version) -> None:
    with storage.atomically():
        for each in versions:
            storage.add(each)
        raise sqlite3.OperationalError


def test_what_fails_leaves_nothing(storage: Storage) -> None:
    add(storage, version())

    with pytest.raises(sqlite3.OperationalError):
        fail_after(storage, version(number=2), version("b"), version("1001"))

    assert list(storage.log()) == [version()]
    assert storage.latest("Patient", "b") is None
    assert list(storage.living()) == [version()]
    assert storage.next_number() == 1001


def test_the_deleted_are_not_among_the_living(storage: Storage) -> None:
    add(storage, version(), version(number=2, gone=True), version("b"))

    assert [each.id for each in storage.living("Patient")] == ["b"]
    assert len(storage.versions("Patient", "a")) == 2


def test_a_number_once_given_is_not_given_again(storage: Storage) -> None:
    number = storage.next_number()
    add(storage, version(str(number)))
    storage.load(list(storage.log()))

    assert storage.next_number() == number + 1


def test_a_file_is_remembered_with_its_decimals(path: Path) -> None:
    first = SqliteStorage(path)
    add(first, version(), version(number=2, gone=True), version("1001"))
    first.close()

    second = SqliteStorage(path)

    assert list(second.log()) == [version(), version(number=2, gone=True), version("1001")]
    assert second.next_number() == 1002
    second.close()


def test_a_version_that_the_file_cannot_take_is_not_in_memory_either(path: Path) -> None:
    storage = SqliteStorage(path)
    add(storage, version())

    with pytest.raises(sqlite3.IntegrityError):
        add(storage, version())

    assert list(storage.log()) == [version()]
    storage.close()


def test_one_process_holds_a_file_at_a_time(path: Path) -> None:
    holder = SqliteStorage(path)

    with pytest.raises(SandboxFileError, match="in use"):
        SqliteStorage(path)
    holder.close()


def a_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE patient (name TEXT)")
    connection.commit()
    connection.close()


def some_text(path: Path) -> None:
    path.write_text("this is no database, it is a page of text\n" * 100)


@pytest.mark.parametrize("make", [a_database, some_text])
def test_a_file_of_something_else_is_left_alone(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = path.read_bytes()

    with pytest.raises(SandboxFileError, match="not a sandbox file"):
        SqliteStorage(path)

    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxFileError, match="nowhere"):
        SqliteStorage(tmp_path / "nowhere" / "sandbox.db")


def test_a_file_is_private_to_its_owner(path: Path) -> None:
    SqliteStorage(path).close()

    assert path.stat().st_mode & 0o077 == 0


def test_a_sandbox_goes_on_where_it_stopped(path: Path) -> None:
    storage = SqliteStorage(path)
    ehr = AnEhr(storage)
    ehr.put(patient())
    ehr.put(observation())
    storage.close()

    again = SqliteStorage(path)
    answer = AnEhr(again).put(patient(active=True), If_Match='W/"1"')

    assert (answer.status, answer.headers["ETag"]) == (200, 'W/"2"')
    again.close()
