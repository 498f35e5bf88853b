"""An installation with few mappings, the command line in this process, an EHR behind a socket."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from fhirbridge import cli
from fhirbridge.fhir import codec
from fhirbridge.records.source_schema import source_schema
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import evidence
from fhirbridge.translate import mapping_set
from fhirbridge.workbench import cases
from tests.factories import Record, a_short_visit
from tests.journey.installation import Installation, install
from tests.mapping_sets import few_mappings
from tests.operate.ehr_at_work import EhrAtWork

CASE = "tests/a-visit"


@dataclass(frozen=True)
class Said:
    """What one command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return codec.decode(self.out.encode())


@dataclass
class Desk:
    """Where an administrator sits: `run` is one command line, through the program's own door."""

    home: Path
    folder: Path
    capture: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    taken: int = 0

    def run(self, *words: str) -> Said:
        self.monkeypatch.setattr(sys, "argv", ["fhirbridge", *words])
        self.capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self.capture.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    def json(self, *words: str) -> Any:
        return self.run(*words, "--json").data

    def take(self, *records: Record) -> list[str]:
        """Take records in; return the ids of their versions."""
        paths = []
        for one in records:
            self.taken += 1
            path = self.folder / f"record-{self.taken}.json"
            path.write_bytes(codec.encode(one))
            paths.append(str(path))
        return [one["id"] for one in self.json("ingest", *paths)]

    def reload(self, draft: Path) -> None:
        """Make a draft live, once its case expects what it makes."""
        expect_as_made(draft)
        said = self.run("map", "reload", str(draft))
        assert said.status == 0, said.err

    def evidence(self, action: str) -> list[Any]:
        """The evidence rows of one kind of thing that happened, oldest first."""
        store = Store(f"sqlite:///{self.home / 'fhirbridge.db'}")
        with store.read() as tx:
            chosen = select(evidence).where(evidence.c.action == action).order_by(evidence.c.at)
            found = list(tx.execute(chosen))
        store.close()
        return found

    def states(self) -> dict[str, int]:
        (one,) = self.json("sync", "status")["destinations"]
        found: dict[str, int] = one["deliveries"]
        return found


@pytest.fixture(scope="session")
def written_mappings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mappings(tmp_path_factory.mktemp("few") / "mappings")


def write_mappings(folder: Path) -> Path:
    """Write the few mappings with one case into a folder."""
    case = {f"{CASE}/record.json": codec.encode(a_short_visit())}
    for name, raw in {**few_mappings().by_name, **case}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    expect_as_made(folder)
    return folder


def expect_as_made(folder: Path) -> None:
    """Let the case of a set expect what its mappings make now."""
    cases.update(mapping_set.read(folder), cases.find(folder), source_schema())


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, written_mappings: Path) -> Installation:
    made = install(tmp_path_factory.mktemp("installed") / "home", mappings=written_mappings)
    return replace(made, settings=replace(made.settings, mappings=written_mappings))


@pytest.fixture
def desk(
    installed: Installation,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    copied = installed.copy(tmp_path / "home", tenant="main").settings
    for name in ("home", "site", "tenant", "mappings"):
        monkeypatch.setenv(f"FHIRBRIDGE_{name.upper()}", str(getattr(copied, name)))
    return Desk(home=copied.home, folder=tmp_path, capture=capsys, monkeypatch=monkeypatch)


@pytest.fixture
def ehr(desk: Desk) -> Iterator[EhrAtWork]:
    """An EHR that is the proven destination `ehr`, and was asked nothing since."""
    with EhrAtWork() as at_work:
        assert desk.run("destination", "add", "ehr", at_work.url).status == 0
        at_work.asked.clear()
        yield at_work
