"""An EHR that answers what a script says, and one that is the sandbox with a fault built in."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from tests.fakes import FarSide, FrozenClock

Outcome = Response | NotSent | Unknown
BASE = "http://ehr.invalid/fhir"


def answer(status: int, body: Any = None, **headers: str) -> Response:
    """An answer of this status; `body` is JSON data, or bytes as they are."""
    content = body if isinstance(body, bytes) else b"" if body is None else codec.encode(body)
    return Response(status=status, headers=headers, body=content)


class ScriptedTransport:
    """Gives the next answer of its script to each request, and remembers what was asked."""

    def __init__(self, script: Iterable[Outcome]) -> None:
        self._script = deque(script)
        self.requests: list[Request] = []

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        assert deadline_seconds > 0
        self.requests.append(request)
        return self._script.popleft()


class Flawed:
    """The sandbox EHR behind something that changes a request on its way, or the answer."""

    def __init__(
        self,
        *,
        asks: Callable[[Request], Request] = lambda request: request,
        says: Callable[[Request, Outcome], Outcome] = lambda _request, outcome: outcome,
    ) -> None:
        self.far_side = FarSide(FrozenClock(), BASE)
        self.requests: list[Request] = []
        self._asks = asks
        self._says = says

    @property
    def ehr(self) -> Ehr:
        return Ehr(base_url=BASE, transport=self)

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        self.requests.append(request)
        served = self.far_side.transport.send(
            self._asks(request), deadline_seconds=deadline_seconds
        )
        return self._says(request, served)
