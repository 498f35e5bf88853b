"""The sandbox EHR as a plain object: a request in, an answer out, no network, no clock of its own.

The same object stands behind the HTTP server and inside a simulation.
"""

from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from threading import Lock

from fhirbridge.clock import Clock
from fhirbridge.fhir.codec import NotJsonError
from fhirbridge.sandbox import calls
from fhirbridge.sandbox.calls import Answer, Call, Reply
from fhirbridge.sandbox.holdings import Holdings
from fhirbridge.sandbox.interactions import Interactions
from fhirbridge.sandbox.outcome import Issue, RefusedError
from fhirbridge.sandbox.storage import Storage, Version

DEFAULT_BASE = "http://sandbox.invalid/fhir"


class SandboxEhr:
    """One EHR. Requests come from any thread and are served one at a time."""

    def __init__(
        self,
        *,
        storage: Storage,
        clock: Clock,
        stale_status: HTTPStatus = HTTPStatus.CONFLICT,
        assigns_ids: bool = False,
        ignores_if_match: bool = False,
    ) -> None:
        """Answer a stale `If-Match` with `stale_status`: 409 as HAPI does, or 412 as R4 says.

        `assigns_ids`: it names resources itself, and refuses a PUT under an id that it did not
        give. `ignores_if_match`: it writes whatever version a client names.
        """
        self._storage = storage
        self._interactions = Interactions(
            Holdings(
                storage,
                clock,
                stale_status=stale_status,
                assigns_ids=assigns_ids,
                ignores_if_match=ignores_if_match,
            )
        )
        self._lock = Lock()

    def handle(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        base: str = DEFAULT_BASE,
    ) -> Answer:
        """Serve one request; never raises for what a client can send.

        `target` is the path below `base`, percent-encoded, with its query: `/Patient?_id=a`.
        """
        call = calls.call(method, target, headers, body, base=base)
        try:
            _refuse_unserved(call)
            with self._lock:
                reply = self._serve(call)
        except RefusedError as error:
            return calls.refusal(call, error)
        return calls.answer(call, reply)

    def snapshot(self) -> tuple[Version, ...]:
        """Return all that is held, as a backup of the EHR."""
        with self._lock:
            return tuple(self._storage.log())

    def restore(self, snapshot: tuple[Version, ...]) -> None:
        """Go back to a backup; what came after it is lost, and its version numbers come again."""
        with self._lock:
            self._storage.load(snapshot)

    def counts(self) -> dict[str, int]:
        """Return how many living resources of each type are held, by name."""
        with self._lock:
            counts = Counter(version.type for version in self._storage.living())
        return dict(sorted(counts.items()))

    def _serve(self, call: Call) -> Reply:
        try:
            return self._interactions.serve(call)
        except NotJsonError as error:
            raise RefusedError(
                error.http_status, Issue.STRUCTURE, error.message, hint=error.hint
            ) from error


def _refuse_unserved(call: Call) -> None:
    if len(call.body) > calls.LARGEST_BODY:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            Issue.TOO_LONG,
            f"the body is larger than {calls.LARGEST_BODY} bytes",
        )
    accept = call.headers.get("accept", "")
    if "xml" in accept and "json" not in accept and "*" not in accept:
        raise RefusedError(
            HTTPStatus.NOT_ACCEPTABLE, Issue.NOT_SUPPORTED, "the sandbox speaks JSON only"
        )
