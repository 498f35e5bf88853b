"""What the API's own document allows and forbids, sent to the service by schemathesis.

Each operation gets cases that its schema allows, cases that it forbids, and chains of requests in
which one answer leads to the next. Every answer is held against the document.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as of_hypothesis
from hypothesis.errors import Unsatisfiable
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from standardwebhooks import Webhook

from fhirbridge.access.tokens import Role
from fhirbridge.clock import SystemClock
from fhirbridge.outbox.states import State
from fhirbridge.web.app import create_app
from tests.records.visits import a_visit
from tests.web.documented_client import DOCUMENT
from tests.web.list_provocations import put_aside
from tests.web.service import MOST_BYTES, Service

SIGN = "v1,to-be-signed-on-the-way"
NDJSON = "application/x-ndjson"
# A record that the schema allows may still be no visit that can have been: that is what the checks
# of records/ are for, and 422 is their answer.
LEFT_OUT = [positive_data_acceptance]
# Of lines each is answered for itself, whatever the others are.
OF_LINES = [negative_data_rejection]
# Schemathesis does not know that what is too large is refused before it is read.
REFUSED = [HTTPStatus.REQUEST_ENTITY_TOO_LARGE]
QUICK = of_hypothesis(
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


def costly(label: str) -> bool:
    """Say whether a case of this operation carries a whole record."""
    return label in {"POST /webhooks/v1/sessions", "POST /api/v1/sessions", "POST /api/v1/stock"}


@dataclass
class Run:
    """What was asked and what came of it: how many requests, by operation and by status."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


@schemathesis.serializer(NDJSON)
def _lines(_context: Any, value: Any) -> Any:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


class Fuzzed:
    """A service with a record, a destination and a parked delivery, asked as its document says."""

    def __init__(self, service: Service) -> None:
        parked = put_aside(service, State.PARKED)
        record = service.send(a_visit()).headers["Location"].rpartition("/")[2]
        self.known = {"delivery_id": parked, "name": "ehr", "record_id": record}
        self.run = Run()
        self._app = create_app(service.bridge, most_bytes=MOST_BYTES, requests_per_second=0)
        self._secret = service.bridge.add_source("fuzz", None, actor="test")
        self._token = service.token(Role.ADMIN)
        self._schema = schemathesis.openapi.from_wsgi(DOCUMENT, self._serve)
        self._database = service.database
        self._begun = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self._database)) as now:
            now.backup(self._begun)

    def each(self, examples: Callable[[str], int]) -> Run:
        """Try every operation with so many cases of each mode, half of them about what is there."""
        for found in self._schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]  # else it fails, and says why
            for mode in GenerationMode:
                for known in ({}, self._named_in(operation.path)):
                    self._try(operation, mode, known, max(1, examples(operation.label) // 2))
        return self.run

    def chained(self, chains: int, *, steps: int) -> Run:
        """Follow so many chains of requests, in which an answer gives what the next one needs."""
        headers, check, begin = self._headers, self._check, self._begin

        class Chain(self._schema.as_state_machine()):  # type: ignore[misc]
            def setup(self) -> None:
                begin()

            def get_call_kwargs(self, case: Any) -> dict[str, Any]:
                return {"headers": headers(case)}

            def validate_response(self, response: Any, case: Any, **_: Any) -> None:
                check(case, response)

        Chain.run(settings=of_hypothesis(QUICK, max_examples=chains, stateful_step_count=steps))
        return self.run

    def _begin(self) -> None:
        """Put everything back as it was: hypothesis wants the same answer to the same request."""
        with closing(sqlite3.connect(self._database)) as now:
            self._begun.backup(now)

    def _try(self, operation: Any, mode: Any, known: Mapping[str, str], count: int) -> None:
        @given(case=operation.as_strategy(mode, path_parameters=dict(known) or None))
        @of_hypothesis(QUICK, max_examples=count)
        def send(case: Any) -> None:
            self.run.asked[operation.label] += 1
            self._check(case, case.call(headers=self._headers(case)))

        try:
            send()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # nothing can be wrong where nothing is sent

    def _check(self, case: Any, response: Any) -> None:
        self.run.statuses[response.status_code] += 1
        try:
            case.validate_response(
                response,
                excluded_checks=LEFT_OUT + (OF_LINES if case.media_type == NDJSON else []),
                headers=self._headers(case),
                transport_kwargs={"headers": self._headers(case)},
            )
        except schemathesis.errors.FailureGroup as failed:
            self.run.wrong += [
                f"{case.operation.label}: {type(one).__name__}: {one}"
                for one in failed.exceptions
                if not (isinstance(one, AcceptedNegativeData) and response.status_code in REFUSED)
            ]

    def _headers(self, case: Any) -> dict[str, str]:
        if "/webhooks/" in case.operation.path:
            return {"webhook-signature": SIGN}
        return {"Authorization": f"Bearer {self._token}"}

    def _named_in(self, path: str) -> dict[str, str]:
        return {name: own for name, own in self.known.items() if f"{{{name}}}" in path}

    def _serve(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        if environ.get("HTTP_WEBHOOK_SIGNATURE") == SIGN:
            self._sign(environ)
        return self._app.wsgi_app(environ, start)

    def _sign(self, environ: dict[str, Any]) -> None:
        """Sign as a sender would who knows the secret; the id stays what was made up."""
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = type(environ["wsgi.input"])(body)
        at = SystemClock().now()
        environ["HTTP_WEBHOOK_TIMESTAMP"] = str(int(at.timestamp()))
        named = environ.get("HTTP_WEBHOOK_ID", "")
        signed = Webhook(self._secret).sign(named, at, body.decode("utf-8", "replace"))
        environ["HTTP_WEBHOOK_SIGNATURE"] = signed
