"""What every test may ask for, and what a run says about tests that it could not run."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import structlog
from xdist.scheduler import LoadFileScheduling

from fhirbridge.store.engine import Store
from tests import compiled_once
from tests.hapi import hapi_server
from tests.hapi import hl7_validator as validators
from tests.hapi.hl7_validator import Hl7Validator
from tests.postgres import server
from tests.postgres.server import Server

# How long an example takes says more about the machine than about the program.
hypothesis.settings.register_profile("fhirbridge", deadline=None)
hypothesis.settings.load_profile("fhirbridge")

TOP = Path(__file__).parent.parent
NOT_RUN = pytest.StashKey[int]()


@pytest.fixture(scope="session", autouse=True)
def _each_set_of_mappings_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        compiled_once.remember(patched)
        yield


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """Let no test log where another one had logs sent, which may be closed by now."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def hapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a real HAPI server, one for the whole run: use ids of your own."""
    with hapi_server.running(tmp_path_factory.mktemp("hapi")) as base_url:
        yield base_url


@pytest.fixture(scope="session")
def hl7_validator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hl7Validator]:
    """HL7's own validator for R4, with US Core 6.1.0 where its package was given."""
    with validators.running(tmp_path_factory.mktemp("validator")) as started:
        yield started


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, one for the whole run: take a database of your own."""
    with server.running() as started:
        yield started


EACH_ENGINE = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=EACH_ENGINE)
def either(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database for one bridge: SQLite in memory, and PostgreSQL."""
    if request.param == "sqlite":
        yield "sqlite://"
    else:
        of_postgres: Server = request.getfixturevalue("postgres")
        url = of_postgres.database()
        yield url
        of_postgres.drop(url)


@pytest.fixture(params=EACH_ENGINE)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database with our tables, on each engine in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'fhirbridge.db'}"
        store = Store(url)
        store.create()
        store.close()
        yield url
    else:
        of_postgres: Server = request.getfixturevalue("postgres")
        url = of_postgres.database()
        yield url
        of_postgres.drop(url)


class ByServer(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each file to one process, and all that ask HAPI or the validator to the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "servers" if asks_a_server(file) else file


@cache
def asks_a_server(file: str) -> bool:
    return "pytest.mark.hapi" in (TOP / file).read_text("utf-8")


@cache
def how_soon(file: str) -> tuple[bool, bool]:
    """Put first what takes long and goes to one process: the others would wait for it."""
    return not asks_a_server(file), "pytest.mark.slow" not in (TOP / file).read_text("utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:
    """Say how a run in several processes shares out its tests."""
    return ByServer(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest; leave out what needs a package that is absent."""
    items.sort(key=lambda item: how_soon(item.nodeid.partition("::")[0]))
    if validators.us_core_package():
        return
    left_out = [item for item in items if item.get_closest_marker("us_core")]
    config.stash[NOT_RUN] = len(left_out)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that sums up."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(NOT_RUN, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a process left out; each left out the same."""
    node.config.stash[NOT_RUN] = node.workeroutput.get("left_out", 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left_out = config.stash.get(NOT_RUN, 0)
    if left_out:
        terminalreporter.write_line(
            f"NOT RUN: US Core tests ({left_out}). Give the package hl7.fhir.us.core 6.1.0 by "
            f"{validators.SETTING}=/path/{validators.PACKAGE}",
            yellow=True,
        )
