"""A service of its own for each test; the mappings are read once."""

import io
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from fhirbridge import log
from fhirbridge.sandbox.app import create_app as create_sandbox
from fhirbridge.store import sqlite
from tests.factories import a_visit
from tests.web.fhir_reading import Reader
from tests.web.service import Service, a_service


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    lines = io.StringIO()
    log.configure(lines)
    made = a_service(tmp_path / "home", lines)
    yield made
    made.bridge.close()
    log.configure()


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A reader of a facade with one whole visit, for all that only read."""
    made = a_service(tmp_path_factory.mktemp("chart") / "home", io.StringIO())
    reader = Reader(made)
    reader.take(a_visit(1))
    yield reader
    made.bridge.close()


@pytest.fixture
def sandbox() -> Iterator[str]:
    """Base address of a sandbox EHR."""
    server = make_server("127.0.0.1", 0, create_sandbox(), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/fhir"
    server.shutdown()
    thread.join()
    server.server_close()
