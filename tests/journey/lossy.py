"""A way to an EHR on which answers to writes are lost, after they were done."""

from dataclasses import dataclass, field
from threading import Lock

from fhirbridge.bridge import Bridge
from fhirbridge.destinations import registry
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.ehr.rest import Ehr


@dataclass(slots=True)
class Lossy:
    """A way on which the answers to some of the writes are lost, after they were done."""

    inner: Transport
    every: int = 0  # which write's; 0: none
    writes: int = 0
    asked: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        outcome = self.inner.send(request, deadline_seconds=deadline_seconds)
        with self.lock:
            self.asked.append(f"{request.method} {request.url}")
            if request.method != "PUT" and "If-None-Exist" not in request.headers:
                return outcome
            self.writes += 1
            lost = self.every and self.writes % self.every == 0
        return Unknown(reason="read: reset") if lost else outcome


def lossy(bridge: Bridge) -> Lossy:
    """Let what this bridge sends go such a way."""
    made: list[Lossy] = []

    def wrap(transport: Transport) -> Transport:
        if not made:
            made.append(Lossy(transport))
        return made[0]

    plain = bridge._parts.ehr_for

    def ehr_for(known: registry.Destination) -> Ehr:
        return plain(known).through(wrap)

    object.__setattr__(bridge._parts, "ehr_for", ehr_for)
    ehr_for(bridge.destination("ehr"))
    return made[0]


def settle(bridge: Bridge) -> None:
    """Deliver, waiting out what is to be tried again."""
    for _ in range(200):
        bridge.sync()
        due = bridge.next_due()
        if due is None:
            return
        bridge.clock.sleep(max((due - bridge.clock.now()).total_seconds(), 0.0))
