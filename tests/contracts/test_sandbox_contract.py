from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from werkzeug.serving import make_server

from fhirbridge.sandbox.app import create_app
from tests.contracts.ehr_contract import EhrContract


@pytest.fixture(scope="module", params=["memory", "file"])
def sandbox(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    path: Path | None = None
    if request.param == "file":
        path = tmp_path_factory.mktemp("sandbox") / "sandbox.db"
    server = make_server("127.0.0.1", 0, create_app(path), threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/fhir"
    server.shutdown()
    thread.join()
    server.server_close()


class TestSandbox(EhrContract):
    @pytest.fixture
    def base_url(self, sandbox: str) -> str:
        return sandbox
