"""I18, S26: files that a system drops are taken once, whole, and from nowhere else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fhirbridge import opening
from fhirbridge.cli import dropped, fhirbridge
from fhirbridge.cli.drop import Taker
from fhirbridge.cli.dropped import Folder
from fhirbridge.fhir import codec
from fhirbridge.store.engine import StoreBusyError
from tests.fakes import FrozenClock
from tests.records.test_stock import a_stock
from tests.records.visits import a_visit
from tests.source_rules import ROOT
from tests.web.service import settings_below

SAMPLES = ROOT / "fhirbridge" / "samples"
MOST = 100_000


class Dropped:
    """A folder, and an installation that takes from it; `between` happens between its two looks."""

    def __init__(self, home: Path) -> None:
        self.settings = settings_below(home / "home")
        opening.initialise(self.settings)
        self.folder = home / "drop"
        self.folder.mkdir()
        self.between: Callable[[], Any] = lambda: None
        self.bridge = opening.open_bridge(self.settings)
        self.bridge.clock = self

    def now(self) -> Any:
        return FrozenClock().now()

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, _seconds: float) -> None:
        self.between()

    def put(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else codec.encode(content))
        return path

    def take(self) -> tuple[int, int]:
        return Taker(self.bridge, None, most=MOST).once(self.folder, settle=1)

    def result(self, name: str) -> Any:
        return codec.decode((self.folder / f"{name}.result.json").read_bytes())

    def names(self) -> set[str]:
        every = (path.relative_to(self.folder) for path in self.folder.rglob("*"))
        return {str(one) for one in every} - {dropped.LOCK}

    def records(self) -> int:
        return self.bridge.status().records


@pytest.fixture
def drop(tmp_path: Path) -> Dropped:
    return Dropped(tmp_path)


def test_a_file_is_taken_in_its_result_stands_beside_and_it_is_moved(drop: Dropped) -> None:
    drop.put("a.json", a_visit())
    drop.put("b.json", {})
    drop.put("c.json", a_stock())
    drop.put("d.ndjson", codec.encode(a_visit(session_id="d")) + b"\n\n{}\n")

    assert drop.take() == (4, 2)

    assert drop.names() == {
        "done",
        "done/a.json",
        "done/c.json",
        "failed",
        "failed/b.json",
        "failed/d.ndjson",
        *(f"{name}.result.json" for name in ("a.json", "b.json", "c.json", "d.ndjson")),
    }
    assert [one["state"] for one in drop.result("a.json")["items"]] == ["current"]
    assert drop.result("b.json")["items"][0]["findings"]
    found = drop.result("d.ndjson")
    assert [(one["line"], one["state"]) for one in found["items"]] == [
        (1, "current"),
        (3, "refused"),
    ]
    assert (found["accepted"], found["refused"], drop.records()) == (1, 1, 2)


def test_i18_the_same_file_again_has_the_same_result_and_changes_nothing(drop: Dropped) -> None:
    drop.put("a.json", a_visit())
    drop.take()
    first = drop.result("a.json")

    drop.put("a.json", a_visit())
    drop.put("other name.json", a_visit())
    drop.take()

    assert drop.result("a.json") == drop.result("other name.json") == first
    assert drop.records() == 1
    moved = [path for path in (drop.folder / "done").iterdir() if path.name.endswith("a.json")]
    assert len(moved) == 2


def test_i18_a_file_that_is_still_written_is_left_alone(drop: Dropped) -> None:
    whole = codec.encode(a_visit())
    half = drop.put("a.json", whole[:-100])
    drop.between = lambda: half.write_bytes(whole)

    assert drop.take() == (0, 0)
    assert drop.names() == {"a.json"}

    drop.between = lambda: None
    assert drop.take() == (1, 0)


def test_i18_a_file_that_changes_while_it_is_read_is_left_for_the_next_time(
    drop: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = drop.put("a.json", a_visit())
    take = drop.bridge.take_item

    def meanwhile(raw: bytes, **more: Any) -> Any:
        file.write_bytes(codec.encode(a_visit(version=2)))
        return take(raw, **more)

    with monkeypatch.context() as busy:
        busy.setattr(drop.bridge, "take_item", meanwhile)
        assert drop.take() == (0, 0)

    assert file.exists()
    assert drop.take() == (1, 0)
    assert drop.result("a.json")["items"][0]["version"] == 2


def test_s26_i18_links_devices_folders_and_what_has_another_name_are_left_alone(
    drop: Dropped, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(codec.encode(a_visit()))
    (drop.folder / "link.json").symlink_to(outside)
    (drop.folder / "folder.json").mkdir()
    os.mkfifo(drop.folder / "pipe.json")
    for name in (".hidden.json", "a.json.part", "a.tmp", "a.JSON", "a.csv", "old.result.json"):
        drop.put(name, a_visit())
    before = drop.names()

    assert drop.take() == (0, 0)

    assert drop.names() == before
    assert drop.records() == 0


def test_s26_a_file_that_becomes_a_link_between_the_looks_is_not_followed(
    drop: Dropped, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(codec.encode(a_visit()))
    file = drop.put("a.json", a_visit())

    def exchange() -> None:
        file.unlink()
        file.symlink_to(outside)

    drop.between = exchange

    assert drop.take() == (0, 0)
    assert (outside.exists(), drop.records()) == (True, 0)


@pytest.mark.parametrize("name", ["done", "failed"])
def test_s26_done_and_failed_lead_nowhere_else(drop: Dropped, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (drop.folder / name).symlink_to(tmp_path / "elsewhere")
    drop.put("a.json", a_visit() if name == "done" else {})

    with pytest.raises(dropped.FolderError):
        drop.take()

    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (drop.folder / "a.json").exists()


def test_s26_what_is_too_large_is_not_read_whole(drop: Dropped) -> None:
    drop.put("a.json", b" " * (MOST + 1))
    drop.put("b.ndjson", b'"' + b"x" * 3 * MOST + b'"\n' + codec.encode(a_visit()))

    assert drop.take() == (2, 2)

    assert "bytes" in drop.result("a.json")["items"][0]["detail"]
    assert [one["state"] for one in drop.result("b.ndjson")["items"]] == ["refused", "current"]


def test_i18_two_at_once_are_one(drop: Dropped) -> None:
    drop.put("a.json", a_visit())
    refused = []

    def another() -> None:
        with pytest.raises(dropped.FolderError) as error:
            drop.take()
        refused.append(error.value.message)

    drop.between = another

    assert drop.take() == (1, 0)
    assert refused == ["another ingest is at work in this folder"]


@pytest.mark.parametrize("place", ["result.write", "result.done", "moved"])
def test_i18_killed_anywhere_nothing_is_lost_or_taken_twice(
    drop: Dropped, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    drop.put("a.json", a_visit())
    replace = os.replace

    def killed(*args: Any, **more: Any) -> None:
        is_result = str(args[1]).endswith(".result.json")
        if place == "result.done" and is_result:
            replace(*args, **more)
        if place == "moved" and not is_result:
            replace(*args, **more)
        if place != "moved" or not is_result:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*args, **more)

    drop.bridge.close()
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(os, "replace", killed)
            drop.take()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL

    taken = drop.take()

    assert taken == ((0, 0) if place == "moved" else (1, 0))
    assert drop.records() == 1
    assert [one["state"] for one in drop.result("a.json")["items"]] == ["current"]
    assert drop.names() == {"a.json.result.json", "done", "done/a.json"}


def test_a_database_that_is_busy_leaves_the_file_where_it_is(
    drop: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop.put("a.json", a_visit())

    def fail(*_: Any, **__: Any) -> Any:
        raise StoreBusyError("busy")

    with monkeypatch.context() as busy:
        busy.setattr(drop.bridge, "take_item", fail)
        with pytest.raises(StoreBusyError):
            drop.take()

    assert (drop.folder / "a.json").exists()
    assert drop.take() == (1, 0)


def test_a_look_at_a_folder_is_by_what_lies_there_and_not_by_its_clock(drop: Dropped) -> None:
    file = drop.put("a.json", a_visit())
    os.utime(file, (2**33, 2**33))  # a clock far ahead

    assert drop.take() == (1, 0)


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(fhirbridge, [str(one) for one in words])


def test_by_command_with_csv_and_its_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FHIRBRIDGE_HOME", str(tmp_path / "home"))
    assert run("init").exit_code == 0
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / "visits.csv").write_bytes((SAMPLES / "visits.csv").read_bytes())
    (folder / "a.json").write_bytes(b"{}")

    done = run("ingest", folder, "--settle", "0.1", "--columns", SAMPLES / "columns.yaml")

    assert done.exit_code == 1
    assert "2 files, 1 failed" in done.stderr
    assert "visits" not in done.output
    found = codec.decode((folder / "visits.csv.result.json").read_bytes())
    assert (found["accepted"], found["refused"]) == (2, 0)
    assert run("ingest", folder, folder).exit_code == 2
    assert run("ingest", folder / "done" / "visits.csv", "--watch").exit_code == 2


def test_it_watches_until_it_is_stopped(drop: Dropped) -> None:
    drop.bridge.close()
    environment = {"FHIRBRIDGE_HOME": str(drop.settings.home), "FHIRBRIDGE_SITE": "clinic.invalid"}
    command = [sys.executable, "-m", "fhirbridge", "ingest", str(drop.folder), "--watch"]
    watching = subprocess.Popen([*command, "--settle", "0.1"], cwd=ROOT, env=environment)
    try:
        drop.put("a.json", a_visit())
        while watching.poll() is None and not (drop.folder / "done" / "a.json").exists():
            with suppress(subprocess.TimeoutExpired):
                watching.wait(timeout=0.05)
    finally:
        watching.terminate()
        watching.wait(timeout=60)

    assert "done/a.json" in drop.names()


def test_a_folder_is_left_as_it_was_where_nothing_is_in_it(drop: Dropped) -> None:
    assert drop.take() == (0, 0)
    assert drop.names() == set()
    with dropped.opened(drop.folder) as here:
        assert isinstance(here, Folder)
