"""A service of its own for each test; the mappings are read once."""

import io
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from fhirbridge import log
from fhirbridge.records.source_schema import source_schema
from fhirbridge.sandbox.app import create_app as create_sandbox
from fhirbridge.settings import packaged_mappings
from fhirbridge.store import sqlite
from fhirbridge.translate import mapping_set
from fhirbridge.translate.mapping_set import MappingSet
from tests.web.service import Service, a_service


@pytest.fixture(scope="session")
def compiled() -> Mapping[str, MappingSet]:
    """The packaged set without an overlay and with each of theirs: a set never changes."""
    return mapping_set.compile_all(mapping_set.read(packaged_mappings()), source_schema())


@pytest.fixture
def service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: Mapping[str, MappingSet]
) -> Iterator[Service]:
    monkeypatch.setattr(mapping_set, "compile_all", lambda _files, _source: compiled)
    monkeypatch.setattr(mapping_set, "compile_set", lambda _files, _source, name: compiled[name])
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 20)
    lines = io.StringIO()
    log.configure(lines)
    made = a_service(tmp_path / "home", lines)
    yield made
    made.bridge.close()
    log.configure()


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
