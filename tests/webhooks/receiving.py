"""Receivers behind real sockets, and a bridge that tells them; its clock is the test's."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import select
from standardwebhooks import Webhook

from fhirbridge.clock import SystemClock
from fhirbridge.egress.exchange import Resolver, Transport
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Kind
from fhirbridge.fhir import codec
from fhirbridge.store import moment
from fhirbridge.store.webhook_tables import webhook_endpoint, webhook_message
from fhirbridge.webhooks import reach, sender
from fhirbridge.webhooks.endpoints import New
from fhirbridge.webhooks.sender import Connect, Rooms
from tests.egress.fake_server import FakeServer, Seen, Step, Talk, http
from tests.factories import World
from tests.mapping_sets import few_mappings

HERE = ("127.0.0.0/8",)
TAKEN = http(b"thanks")


class Receiver:
    """Takes everything, unless a test orders steps or statuses; they are taken one by one."""

    def __init__(self) -> None:
        self.orders: list[Step | int] = []
        self.always: Step | int = 200
        self.server = FakeServer(self._meet)

    @property
    def url(self) -> str:
        return f"{self.server.url}/hooks?of=clinic"

    @property
    def seen(self) -> list[Seen]:
        return self.server.seen

    @property
    def ids(self) -> list[str]:
        return [one.headers["webhook-id"] for one in self.seen]

    def messages(self) -> list[dict[str, Any]]:
        return [codec.decode(one.body) for one in self.seen]

    def _meet(self, talk: Talk) -> None:
        talk.body()
        step = self.orders.pop(0) if self.orders else self.always
        if isinstance(step, int):
            talk.say(TAKEN if step == 200 else http(b"no", status=f"{step} Status"))
        else:
            step(talk)


def says(status: int, *headers: str, body: bytes = b"") -> Step:
    """Answer so."""

    def step(talk: Talk) -> None:
        talk.say(http(body, *headers, status=f"{status} Status"))

    return step


def way(resolver: Resolver | None = None) -> Connect:
    """The way out of the program itself; what hangs is waited for by the machine's clock."""
    found = resolver or SystemResolver()

    @cache
    def connect(networks: tuple[str, ...]) -> Transport:
        return HttpTransport(allowed=reach.policy(networks), clock=SystemClock(), resolver=found)

    return connect


class Telling(World):
    """A bridge that tells receivers; nothing but events happens to it."""

    def __init__(self, *, resolver: Resolver | None = None, **more: Any) -> None:
        super().__init__(**{"mapped": few_mappings, "webhooks": way(resolver), **more})
        self.secrets: dict[str, str] = {}

    @property
    def hooks(self) -> Rooms:
        return self.bridge._webhook_rooms()

    def add(self, name: str, url: str, *, networks: Sequence[str] = HERE, **more: Any) -> None:
        new = New(name=name, url=url, networks=networks, **more)
        self.secrets[name] = self.bridge.webhooks.add(new, actor="test")

    def happens(self, *, kind: Kind = Kind.DELIVERY_HELD, at: str = "") -> str:
        """Let something happen; return the id of its event."""
        (named,) = self.happen("k1", kind=kind, at=at)
        return named

    def happen(self, *patients: str, kind: Kind = Kind.DELIVERY_HELD, at: str = "") -> list[str]:
        """Let something happen to each of these; return the ids of the events."""
        detail = {"delivery": "d", "record": "r", "state": "held", "reason": "edited"}
        with self.store.begin() as tx:
            before = events.last(tx)
            for patient in patients:
                one = Event(kind=kind, destination=at, patient=patient, detail=detail)
                events.append(tx, self.rng, one, at=self.clock.now())
            return [one["id"] for one in events.after(tx, before).events]

    def post(self) -> int:
        """Do one round as the background does it; return how many tries were made."""
        sender.prepare(self.hooks)
        return sum(
            sender.send_due(self.hooks, one, lambda: True) for one in sender.ready(self.hooks)
        )

    def standing(self, name: str = "clinic") -> dict[str, Any]:
        (found,) = [one for one in self.bridge.webhooks.every() if one["name"] == name]
        return found

    def tries(self, name: str = "clinic", message: str = "") -> list[dict[str, Any]]:
        """The oldest first."""
        return self.bridge.webhooks.attempts(name, message=message, most=1000)[::-1]

    def due(self, name: str = "clinic") -> list[datetime]:
        """When each message that waits is tried next."""
        chosen = (
            select(webhook_message.c.due_at)
            .join(webhook_endpoint, webhook_endpoint.c.id == webhook_message.c.endpoint)
            .where(webhook_endpoint.c.name == name, webhook_message.c.state == "waiting")
            .order_by(webhook_message.c.due_at)
        )
        with self.store.read() as tx:
            return [moment.from_text(one) for one in tx.scalars(chosen)]

    def pass_until_due(self, name: str = "clinic") -> None:
        """Let time pass until the next try."""
        self.clock.advance(max(self.due(name)[0] - self.clock.now(), timedelta()))


def verified(seen: Seen, secret: str) -> Any:
    """What a receiver reads that checks with the reference library, but for the message's age."""
    named, at, body = seen.headers["webhook-id"], int(seen.headers["webhook-timestamp"]), seen.body
    signed = Webhook(secret).sign(named, _at(at), body.decode())
    assert signed in seen.headers["webhook-signature"].split(" ")
    return codec.decode(body)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
