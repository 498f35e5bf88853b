"""An EHR with its token endpoint on one real socket; a test says what it does next."""

import ssl
import threading
from collections.abc import Callable
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs

from joserfc import jws

from fhirbridge.clock import SystemClock
from fhirbridge.fhir import codec
from tests.egress.fake_server import FakeServer, Seen, Step, Talk, http

TOKEN_PATH = "/oauth2/token"
DISCOVERY = "/fhir/.well-known/smart-configuration"
JSON = "Content-Type: application/json"
PATIENT = codec.encode({"resourceType": "Patient", "id": "abc"})

Answer = Callable[[Seen], bytes]


def json(value: Any, *headers: str, status: str = "200 OK") -> bytes:
    return http(codec.encode(value), JSON, *headers, status=status)


def refusal(error: str, *headers: str, status: str = "400 Bad Request") -> bytes:
    return json({"error": error}, *headers, status=status)


class SmartEhr:
    """Gives tokens t-1, t-2, … and lets in who brings the newest; counts all that is asked."""

    def __init__(self, *, context: ssl.SSLContext | None = None) -> None:
        self.lock = threading.Lock()
        self.forms: list[dict[str, str]] = []  # of token requests
        self.expires_in: Any = 3600
        self.scope: str | None = None
        self.knows: set[str] | None = None  # our keys, as it fetched them; None: it takes any
        self.good: set[str] = set()  # tokens that are let in
        self.lets_in = True  # whoever brings a good token
        self.token_answers: list[bytes | Step] = []  # instead of a token, in order
        self.configuration: bytes | None = None  # instead of ours
        self.fhir_answer: bytes = http(PATIENT, "Content-Type: application/fhir+json")
        self.server = FakeServer(self._step, context=context)

    @property
    def base_url(self) -> str:
        return f"{self.server.url}/fhir"

    @property
    def token_url(self) -> str:
        return f"{self.server.url}{TOKEN_PATH}"

    @property
    def calls(self) -> int:
        return len(self.forms)

    @property
    def assertions(self) -> list[str]:
        return [form["client_assertion"] for form in self.forms]

    def requests(self) -> list[Seen]:
        """What was asked of the FHIR server."""
        return [one for one in self.server.seen if one.target.startswith("/fhir/Patient")]

    def close(self) -> None:
        self.server.close()

    def _step(self, talk: Talk) -> None:
        body = talk.body()
        if talk.seen.target == TOKEN_PATH:
            self._token(talk, body)
        elif talk.seen.target == DISCOVERY:
            ours = json({"token_endpoint": self.token_url})
            talk.say(ours if self.configuration is None else self.configuration)
        else:
            talk.say(self._fhir(talk.seen))

    def _token(self, talk: Talk, body: bytes) -> None:
        with self.lock:
            self.forms.append({k: v[0] for k, v in parse_qs(body.decode()).items()})
            scripted = self.token_answers.pop(0) if self.token_answers else None
            token = f"t-{len(self.forms)}"
            if scripted is None and not self._knows(self.assertions[-1]):
                scripted = refusal("invalid_client", status="401 Unauthorized")
            if scripted is None:
                self.good = {token}
        if scripted is None:
            scripted = json(self.grant(token))
        if isinstance(scripted, bytes):
            talk.say(scripted)
        else:
            scripted(talk)

    def _knows(self, assertion: str) -> bool:
        kid = jws.extract_compact(assertion.encode()).headers()["kid"]
        return self.knows is None or kid in self.knows

    def grant(self, token: str) -> dict[str, Any]:
        said = {"access_token": token, "token_type": "bearer", "expires_in": self.expires_in}
        if self.expires_in is None:
            del said["expires_in"]
        return {**said, "scope": self.scope} if self.scope is not None else said

    def _fhir(self, seen: Seen) -> bytes:
        brought = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if self.lets_in and brought in self.good:
            return self.fhir_answer
        return http(
            b'{"resourceType":"OperationOutcome"}',
            'WWW-Authenticate: Bearer error="invalid_token"',
            f"Date: {format_datetime(SystemClock().now(), usegmt=True)}",
            status="401 Unauthorized",
        )
