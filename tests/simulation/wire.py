"""The way to the EHR and all that may happen on it; who wrote what is noted beside the EHR."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any

from fhirbridge.destinations import modes
from fhirbridge.destinations.modes import Mode
from fhirbridge.egress.exchange import NotSent, Request, Response, Unknown
from fhirbridge.fhir import codec
from fhirbridge.sandbox.storage import Version
from tests.fakes import FarSide, Fault, Says, Trouble
from tests.simulation.naming import NamingTransport, untagged
from tests.simulation.place import BASE_URL, KilledError, Place

BRIDGE = "bridge"
CLINICIAN = "clinician"
BEFORE = "who was here before"
TIMEOUT = timedelta(seconds=30)
SERVER_ADDS = ("versionId", "lastUpdated")


def _outcome(code: str) -> bytes:
    issue = {"severity": "error", "code": code}
    return codec.encode({"resourceType": "OperationOutcome", "issue": [issue]})


# Nothing of what these answer was done.
REFUSALS: tuple[Says, ...] = (
    Says(status=400, body=_outcome("invalid")),
    Says(status=403, body=_outcome("forbidden")),
    Says(status=404, body=_outcome("not-found")),
    Says(status=413),
    Says(status=422, body=_outcome("processing")),
)
LATER: tuple[Says, ...] = (
    Says(status=408),
    Says(status=423),
    Says(status=425),
    Says(status=429, headers={"retry-after": "20"}),
    Says(status=429, headers={"retry-after": "Mon, 04 May 2026 10:00:00 GMT"}),
    Says(status=503, headers={"retry-after": "-5"}),
    Says(status=503, headers={"retry-after": "soon"}),
    Says(status=422, body=_outcome("lock-error")),
)
UNCLEAR: tuple[Says, ...] = (
    Says(status=500),
    Says(status=502, body=b"<html>bad gateway</html>"),
    Says(status=504),
    Says(status=409, body=_outcome("conflict")),
    Says(status=412),
    Says(status=200),
    Says(status=200, body=b"<html>sign in</html>"),
    Says(status=200, body=_outcome("exception")),
    Says(status=200, body=b'{"resourceType":"Bundle","type":"transaction-response"}'),
    Says(status=302, headers={"location": "http://elsewhere.invalid/"}),
)
SIGN_IN: tuple[Says, ...] = (Says(status=401),)
GONE: tuple[Says, ...] = (Says(status=410),)

# A kind of trouble is what a seed may have or not have.
KINDS: dict[str, tuple[Fault | Says, ...]] = {
    "not sent": (Fault.NOT_SENT,),
    "dropped": (Fault.DROPPED,),
    "answer lost": (Fault.LOST,),
    "late": (Fault.LATE,),
    "refused": REFUSALS,
    "try later": LATER,
    "unclear": UNCLEAR,
    "sign-in": SIGN_IN,
    "gone": GONE,
}


@dataclass(slots=True, kw_only=True)
class Author:
    """Who wrote one version in the EHR."""

    name: str
    version: Version


class Wire(NamingTransport):
    """One way to one EHR: up or down, with the kinds of trouble that this seed has."""

    def __init__(self, place: Place, chance: Random) -> None:
        self._far: FarSide = place.ehr
        super().__init__(self._far.model, base_url=BASE_URL, clock=place.clock)
        self._far.transport = self
        self.names = place.mode in modes.GIVES_IDS
        self._place = place
        self._chance = chance
        self.kinds: list[str] = []
        self.often = 0.0
        self.up = True
        self.doomed = False
        self.looking = False  # what is asked now is asked by a look, which has a limit of its own
        self.lost: Counter[str] = Counter()  # how often a restore took something of a resource
        self.counts: Counter[str] = Counter()
        self.answered: list[int] = []  # what a request was told, in the order of the requests
        self.written: list[Author] = []
        self.times: list[float] = []
        self.choose = self._trouble
        self.note(BEFORE)

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        if not self.looking:
            self.times.append(self._place.clock.monotonic())
        if self.doomed:
            self._die(self.asked(request))
        outcome = super().send(request, deadline_seconds=deadline_seconds)
        if isinstance(outcome, Unknown):
            self._place.clock.advance(TIMEOUT)
        self.answered.append(outcome.status if isinstance(outcome, Response) else 0)
        return outcome

    def note(self, author: str) -> None:
        """Name who wrote what is new in the EHR."""
        new = self._far.storage.log()[len(self.written) :]
        self.written += [Author(name=author, version=version) for version in new]

    def go_back(self, backup: tuple[Version, ...]) -> int:
        """Let the EHR forget all that came after a backup; return how many versions that is."""
        gone = self._far.storage.log()[len(backup) :]
        self.lost.update({version.reference for version in gone})
        self._far.model.restore(backup)
        del self.written[len(backup) :]
        return len(gone)

    def land_one(self) -> int | None:
        """Let one delayed request arrive, whichever; return the status that nobody reads."""
        if not self.late:
            return None
        return self._serve(self.late.pop(self._chance.randrange(len(self.late)))).status

    def _serve(self, request: Request) -> Response:
        if self._place.mode is Mode.CREATE_ONLY and request.method not in ("GET", "POST"):
            return Response(status=405, headers={}, body=b"")
        answer = super()._serve(request)
        self.note(BRIDGE)
        return answer

    def _die(self, request: Request) -> None:
        """The worker is killed while its request is on its way."""
        self.sent.append(request)
        fate = self._chance.choice(("never sent", "served", "late"))
        self.counts[f"killed while sending, {fate}"] += 1
        if fate == "served":
            self._serve(request)
        elif fate == "late":
            self.late.append(request)
        raise KilledError

    def _trouble(self, _request: Request) -> Trouble:
        if not self.up:
            self.counts["EHR down"] += 1
            return Fault.NOT_SENT
        if not self.kinds or self._chance.random() >= self.often:
            return None
        kind = self._chance.choice(self.kinds)
        self.counts[kind] += 1
        return self._chance.choice(KINDS[kind])


def author_of(written: list[Author]) -> dict[tuple[str, int], str]:
    """Say who wrote each version: (Type/id, number) to a name."""
    return {(one.version.reference, one.version.number): one.name for one in written}


def content(version: Version) -> dict[str, Any]:
    """What a version says, without what the server adds."""
    said = untagged(dict(version.resource or {}))
    meta = {k: v for k, v in said.pop("meta", {}).items() if k not in SERVER_ADDS}
    return {**said, "meta": meta} if meta else said
