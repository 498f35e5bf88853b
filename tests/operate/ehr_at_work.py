"""A sandbox EHR behind a real socket, that notes what it is asked and may be told to misbehave."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from fhirbridge.sandbox.model import SandboxEhr
from fhirbridge.sandbox.storage import MemoryStorage

Trouble = tuple[int, bytes] | None
PROBE = "fhirbridge-probe"
NO = (422, b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"invalid"}]}')


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    body: Any

    @property
    def writes(self) -> bool:
        bundle = self.body if isinstance(self.body, dict) else {}
        reads = bundle.get("type") == "batch" and all(
            entry["request"]["method"] == "GET" for entry in bundle["entry"]
        )
        return self.method not in ("GET", "HEAD") and not reads

    @property
    def types(self) -> set[str]:
        return {one["resourceType"] for one in self._resources()}

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The resources of this type that it brings."""
        return [one for one in self._resources() if one["resourceType"] == kind]

    def _resources(self) -> list[dict[str, Any]]:
        if self.method == "PUT":
            return [self.body]
        entries = self.body.get("entry", []) if isinstance(self.body, dict) else []
        return [entry["resource"] for entry in entries if "resource" in entry]


@dataclass
class EhrAtWork:
    """`before` sees each request and may answer it itself; `clock_ahead` shifts its Date header."""

    before: Callable[[Asked], Trouble] = lambda _asked: None
    clock_ahead: timedelta = timedelta()
    promises: dict[str, Any] = field(default_factory=dict)  # laid over its CapabilityStatement
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = MemoryStorage()
        self.model = SandboxEhr(storage=self.storage, clock=SystemClock())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/fhir"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    @property
    def writes(self) -> list[Asked]:
        return [one for one in self.asked if one.writes]

    def versions(self) -> dict[str, int]:
        """How many versions each resource ever had."""
        return {
            version.reference: len(list(self.storage.versions(*version.reference.split("/"))))
            for version in self.storage.living()
        }

    def history(self, kind: str) -> list[dict[str, Any]]:
        """Every content of this type that was written since the probe, in the order of arrival."""
        log = [dict(v.resource or {}) for v in self.storage.log() if v.type == kind]
        return [one for one in log if one and PROBE not in codec.encode(one).decode()]

    def serve(self, asked: Asked, headers: dict[str, str], raw: bytes) -> tuple[int, bytes, Any]:
        self.asked.append(asked)
        trouble = self.before(asked)
        if trouble is not None:
            return trouble[0], trouble[1], {"Content-Type": codec.FHIR_JSON}
        answer = self.model.handle(
            asked.method, asked.path.removeprefix("/fhir"), headers, raw, base=self.url
        )
        body = answer.body
        if asked.path == "/fhir/metadata" and self.promises:
            body = codec.encode({**codec.decode(body), **self.promises})
        return answer.status, body, answer.headers


def _handler(ehr: EhrAtWork) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            is_json = raw and not self.path.endswith("/_search")
            asked = Asked(self.command, self.path, codec.decode(raw) if is_json else None)
            status, body, headers = ehr.serve(asked, dict(self.headers.items()), raw)
            self.send_response_only(status)
            now = datetime.now(UTC) + ehr.clock_ahead  # noqa: TID251  what its clock says
            told = {"Date": format_datetime(now, usegmt=True), "Content-Length": str(len(body))}
            kept = {k: v for k, v in headers.items() if k.lower() not in ("date", "content-length")}
            for name, value in {**kept, **told}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
