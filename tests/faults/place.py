"""A whole bridge that delivers to an EHR through the real way out, over a real socket."""

import io
import ssl
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Row, select, update

from fhirbridge import log
from fhirbridge.clock import SystemClock
from fhirbridge.deliver import worker
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import NotSent, Request, Resolver, Response, Unknown
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from fhirbridge.intake.accept import Receipt
from fhirbridge.store.tables import delivery_item, evidence, record
from tests.egress.fake_resolver import FakeResolver
from tests.egress.fake_server import Step
from tests.factories import Record, World, a_short_visit
from tests.faults.front import Front
from tests.mapping_sets import few_mappings

HERE = "127.0.0.1"
NOBODY = "127.0.0.2"  # this machine, where nothing listens on the EHR's port
SHORT = 0.4  # seconds; only for requests of which the test wants the end
CAP = 300_000  # bytes of an answer
MOST_REQUESTS = 40  # none of the tests needs more
PULSE = "vital-heart-rate"


class Place(World):
    """A bridge with one EHR, `ehr`, that knows the clinic already. The time is the test's."""

    def __init__(
        self, *, context: ssl.SSLContext | None = None, ca_file: Path | None = None
    ) -> None:
        """With a `context` the EHR is behind TLS."""
        self.lines = io.StringIO()
        log.configure(self.lines)
        self.names: Resolver = FakeResolver(HERE)
        self.deadlines: list[float] = []
        self._secrets: set[str] = set()
        self._way = HttpTransport(
            allowed=NetworkPolicy(allow_loopback=True),
            clock=SystemClock(),
            resolver=self,
            ca_file=ca_file,
            max_bytes=CAP,
        )
        super().__init__(mapped=few_mappings)
        self.front = Front(self.connect(), self.clock, context)
        self.server = self.front.server

    def close(self) -> None:
        self._way.close()
        self.server.close()
        self.store.close()
        structlog.reset_defaults()

    def know_the_clinic(self) -> None:
        """Deliver a visit of somebody else, so that the clinic is there."""
        self.accept(a_short_visit(patient="pt-0"))
        for lane in (self.shared_lane(), self.patient_lane()):
            assert [*self.drain(lane)][-1] == "released"
        assert set(self.states()) == {"delivered"}
        self.forget()

    def forget(self) -> None:
        """Forget which requests came until now."""
        self.server.seen.clear()

    # --- the way to the EHR -------------------------------------------------------------------

    def _ehr_for(self, destination: Destination) -> Ehr:
        assert destination.name == "ehr"
        return Ehr(base_url=self.front.base_url, transport=self)

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        """Send by the real transport; a test may shorten the deadline of the next requests."""
        if len(self.server.seen) > MOST_REQUESTS:
            raise AssertionError("a storm of requests")
        deadline = self.deadlines.pop(0) if self.deadlines else deadline_seconds
        return self._way.send(request, deadline_seconds=deadline)

    def resolve(
        self, host: str, *, timeout_seconds: float
    ) -> tuple[IPv4Address | IPv6Address, ...]:
        """Ask the names of the moment."""
        return self.names.resolve(host, timeout_seconds=min(timeout_seconds, SHORT))

    def drop_connections(self) -> None:
        """Close what is kept open, so that the next request looks for the EHR anew."""
        self._way.close()

    def order(self, *steps: Step | None) -> None:
        """Let the EHR do this to the next requests, in order."""
        self.front.orders += steps

    def always(self, step: Step | None) -> None:
        """Let the EHR do this to every request from now on; None ends it."""
        self.front.choose = lambda _seen: step

    def sync(self) -> worker.Swept:
        """Deliver what is due; a storm of requests is an error at once."""
        swept = super().sync()
        assert len(self.server.seen) <= MOST_REQUESTS
        return swept

    def pass_time(self, how_long: timedelta) -> None:
        """Let the bridge work for so long, though it has more to do then."""
        until = self.clock.now() + how_long
        while self.clock.now() < until:
            self.sync()
            due = self.bridge.next_due() or until
            step = max(due - self.clock.now(), timedelta(seconds=1))
            self.clock.advance(min(step, until - self.clock.now()))

    # --- what became of it --------------------------------------------------------------------

    def accept(self, record: Record) -> Receipt:
        self._secrets |= set(_phi(record["patient"]))
        return super().accept(record)

    def delivery(self, receipt: Receipt) -> Row[Any]:
        """The patient's delivery of one record version."""
        found = [one for one in self.patient_rows() if one.record_id == receipt.id]
        (row,) = [one for one in found if not one.repairs]
        return row

    def mix_up(self, receipt: Receipt) -> None:
        """Let a record's resources name somebody else than the record does."""
        with self.store.begin() as tx:
            tx.execute(update(record).where(record.c.id == receipt.id).values(subject="somebody"))

    def pulse(self, receipt: Receipt) -> str:
        (found,) = self.of_mapping(receipt, PULSE)
        return found

    def versions(self, receipt: Receipt) -> set[int]:
        """How many versions the EHR has of what one record made, each counted once."""
        items = self.items(self.delivery(receipt).id)
        return {len(self.ehr.history(f"{one.type}/{one.resource_id}")) for one in items}

    def why(self) -> list[str]:
        """What the answers to the last delivery were taken for."""
        answers = self.evidence("delivery.answered")
        chosen = [one.detail for one in answers if one.delivery_id == answers[-1].delivery_id]
        return [str(codec.decode(one.encode())["reason"]) for one in chosen]

    def leaks(self) -> list[str]:
        """What of a patient stands in the log, in an alert, in a reason or in a detail."""
        said = self.lines.getvalue() + repr(self.told) + repr(self.paused())
        said += repr([row.reason for row in self.rows()])
        with self.store.read() as tx:
            said += repr(tx.scalars(select(evidence.c.detail)).all())
            said += repr(tx.scalars(select(delivery_item.c.reason)).all())
        return sorted(one for one in self._secrets if one in said)

    def alarms(self) -> list[str]:
        """The alerts that were told, as `kind: cause`."""
        begun = [one for one in self.told if one["what"] == "started"]
        return [f"{one['kind']}: {one['cause']}" for one in begun]


def _phi(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("system", "use", "country", "state", "gender", "key", "language"):
                yield from _phi(item)
    elif isinstance(value, list):
        for item in value:
            yield from _phi(item)
    elif isinstance(value, str) and len(value) > 4:
        yield value
