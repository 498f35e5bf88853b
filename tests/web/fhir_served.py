"""A facade with one visit, served over a socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from werkzeug.serving import make_server

from fhirbridge.access.tokens import Role
from fhirbridge.fhir import codec
from tests.factories import a_visit
from tests.web.service import Service


@dataclass
class Served:
    """Where it is served, and a token to read it."""

    base: str
    token: str


@contextmanager
def serving(service: Service) -> Iterator[Served]:
    server = make_server("127.0.0.1", 0, service.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}/fhir"
    bridge = service.bridge
    bridge.add_facade(name="pulled", base_url=base, requires_consent=False, actor="test")
    token = bridge.make_token(name="ehr", role=Role.READER, facade="pulled", actor="test")
    bridge.accept(codec.encode(a_visit(1)), actor="test")
    bridge.sync()
    yield Served(base, token)
    server.shutdown()
    thread.join()
    server.server_close()
