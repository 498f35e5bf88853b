"""Time, chance and the way to an EHR as a test owns them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any

from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.fhir import codec
from fhirbridge.sandbox.model import SandboxEhr
from fhirbridge.sandbox.storage import MemoryStorage

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
Outcome = Response | NotSent | Unknown


class FrozenClock:
    """A clock that stands until a test, or a sleep, moves it."""

    def __init__(self, at: datetime = START) -> None:
        self._now = at
        self._ran = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._ran

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(timedelta(seconds=seconds))

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._ran += max(by.total_seconds(), 0.0)

    def jump(self, by: timedelta) -> None:
        """Move the wall clock alone, as an administrator or NTP does."""
        self._now += by


class SeededRng:
    """The same chance every time."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def jitter(self) -> float:
        return self._random.random()


class Fault(StrEnum):
    """What may happen to one request on its way."""

    NOT_SENT = "not sent"  # nothing left this machine
    DROPPED = "dropped"  # it never arrived, and nobody knows
    LOST = "lost"  # it arrived and was done; the answer is lost
    LATE = "late"  # nobody knows; it arrives when `land_late` is called


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """The EHR does nothing and answers this."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Trouble = Fault | Says | None


class SandboxTransport:
    """A way to a sandbox EHR in this process, with trouble to order.

    `script` is taken one by one, a None being no trouble; when it is empty, `choose` is asked.
    """

    def __init__(self, ehr: SandboxEhr, *, base_url: str, clock: FrozenClock) -> None:
        self._ehr = ehr
        self._clock = clock
        self._base_url = base_url
        self.script: list[Trouble] = []
        self.choose: Callable[[Request], Trouble] = lambda _request: None
        self.sent: list[Request] = []
        self.late: list[Request] = []
        self.before_serving: Callable[[Request], None] = lambda _request: None

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        assert deadline_seconds > 0
        self.sent.append(request)
        trouble = self.script.pop(0) if self.script else self.choose(request)
        match trouble:
            case Says():
                return Response(status=trouble.status, headers=trouble.headers, body=trouble.body)
            case Fault.NOT_SENT:
                return NotSent(reason="connect: refused")
            case Fault.DROPPED:
                return Unknown(reason="read: reset")
            case Fault.LATE:
                self.late.append(request)
                return Unknown(reason="read: timeout")
            case Fault.LOST:
                self._serve(request)
                return Unknown(reason="read: reset")
        return self._serve(request)

    def land_late(self) -> list[int]:
        """Let every delayed copy arrive now; return the statuses that nobody reads."""
        late, self.late = self.late, []
        return [self._serve(request).status for request in late]

    def _serve(self, request: Request) -> Response:
        self.before_serving(request)
        target = request.url.removeprefix(self._base_url)
        answer = self._ehr.handle(
            request.method, target, request.headers, request.body or b"", base=self._base_url
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        headers["date"] = format_datetime(self._clock.now(), usegmt=True)  # as any HTTP server
        return Response(status=answer.status, headers=headers, body=answer.body)


class FarSide:
    """A sandbox EHR as the people there see it: what it holds, and their hands on it."""

    def __init__(self, clock: FrozenClock, base_url: str) -> None:
        self.storage = MemoryStorage()
        self._clock = clock
        self._base_url = base_url
        self.behave()

    def behave(self, *, assigns_ids: bool = False, ignores_if_match: bool = False) -> None:
        """Let it be such a server from now on, with a new way to it."""
        self.model = SandboxEhr(
            storage=self.storage,
            clock=self._clock,
            assigns_ids=assigns_ids,
            ignores_if_match=ignores_if_match,
        )
        self.transport = SandboxTransport(self.model, base_url=self._base_url, clock=self._clock)

    def history(self, reference: str) -> list[dict[str, Any]]:
        """Every content that a resource ever had, oldest first; a deletion is {}."""
        kind, _, own = reference.partition("/")
        return [dict(version.resource or {}) for version in self.storage.versions(kind, own)]

    def read(self, reference: str) -> dict[str, Any]:
        return self.history(reference)[-1]

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        return [dict(version.resource or {}) for version in self.storage.living(kind)]

    def references(self) -> list[str]:
        return [version.reference for version in self.storage.living()]

    def edit(self, reference: str, **changes: Any) -> None:
        """Change a resource as a clinician does: without our guards."""
        body = {**self.read(reference), **changes}
        answer = self.model.handle(
            "PUT", f"/{reference}", {"Content-Type": codec.FHIR_JSON}, codec.encode(body)
        )
        assert answer.status == 200, answer

    def delete(self, reference: str) -> None:
        """Take a resource away, whatever else names it."""
        kind, _, own = reference.partition("/")
        with self.storage.atomically():
            self.model._interactions._store.delete(kind, own)

    def requests(self, *kinds: str) -> list[dict[str, Any]]:
        """The Bundles that were posted, of these types or of all."""
        posted = [one for one in self.transport.sent if not one.url.endswith("/_search")]
        bundles = [codec.decode(request.body) for request in posted if request.body]
        wanted: Sequence[str] = kinds or ("transaction", "batch")
        return [bundle for bundle in bundles if bundle.get("type") in wanted]
