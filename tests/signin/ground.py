"""A database, keys and a way out: all that signing in needs, and nothing of deliveries."""

from datetime import datetime, timedelta
from pathlib import Path

from fhirbridge.clock import SystemClock
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.egress.networks import NetworkPolicy
from fhirbridge.egress.resolver import SystemResolver
from fhirbridge.egress.transport import HttpTransport
from fhirbridge.egress.way import Way
from fhirbridge.rng import SystemRng
from fhirbridge.signin import keys
from fhirbridge.signin.book import Book
from fhirbridge.signin.keys import Algorithm, Keys, SigningKey
from fhirbridge.signin.methods import Change, Method
from fhirbridge.signin.tokens import Tokens
from fhirbridge.signin.transport import Rooms, SignedIn
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault

CLIENT = "our-client-id"
SCOPES = "system/Patient.read system/Patient.write"
SMART = Change(method=Method.SMART, client=CLIENT, scopes=SCOPES)
MASTER = bytes(range(32))


class Ahead:
    """The machine's time, moved; waiting is real, since threads wait for each other."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._real = SystemClock()

    def now(self) -> datetime:
        return self._real.now() + self.ahead

    def monotonic(self) -> float:
        return self._real.monotonic()

    def sleep(self, seconds: float) -> None:
        self._real.sleep(seconds)


def destination(base_url: str, name: str = "ehr") -> Destination:
    return Destination(
        name=name,
        base_url=base_url,
        mode=Mode.UNPROVEN,
        traits={},
        requires_consent=False,
        test_server=True,
        overlay="",
        networks=(),
        paused="",
    )


class Ground:
    """One installation's sign-in. Two of them on one file are two processes."""

    def __init__(self, file: Path, base_url: str, *, ca_file: Path | None = None) -> None:
        self.clock = Ahead()
        self.store = Store(f"sqlite:///{file}")
        self.store.create()
        self.vault = Vault(MASTER, SystemRng())
        self.book = Book(vault=self.vault, clock=self.clock, rng=SystemRng())
        self.keys = Keys(vault=self.vault, clock=self.clock)
        self.ca_file = ca_file
        self.ways: dict[Way, HttpTransport] = {}
        self.rooms = Rooms(
            store=self.store,
            clock=self.clock,
            rng=SystemRng(),
            book=self.book,
            keys=self.keys,
            tokens=Tokens(store=self.store, vault=self.vault, clock=self.clock),
            connect=self._connect,
            proxy="",
        )
        self.at(base_url)

    def at(self, base_url: str) -> None:
        """Let the EHR be at this address."""
        self.base_url = base_url
        self.way_in = SignedIn(self.rooms, destination(base_url))

    def _connect(self, _to: Destination, way: Way) -> Transport:
        if way not in self.ways:
            self.ways[way] = HttpTransport(
                allowed=NetworkPolicy(allow_loopback=True),
                clock=SystemClock(),
                resolver=SystemResolver(),
                ca_file=self.ca_file,
                way=way,
            )
        return self.ways[way]

    def close(self) -> None:
        for one in self.ways.values():
            one.close()
        self.store.close()

    def set(self, change: Change) -> None:
        with self.store.begin() as tx:
            self.book.change(tx, "ehr", change)

    def new_key(self, algorithm: Algorithm = Algorithm.ES384) -> SigningKey:
        made = keys.make(algorithm)
        with self.store.begin() as tx:
            return self.keys.add(tx, "ehr", made)

    def use(self, kid: str, *, at_once: bool = False) -> SigningKey:
        with self.store.begin() as tx:
            return self.keys.use(tx, "ehr", kid, at_once=at_once)

    def retire(self, kid: str, *, at_once: bool = False) -> SigningKey:
        with self.store.begin() as tx:
            return self.keys.retire(tx, "ehr", kid, at_once=at_once)

    def ask(self) -> Response | NotSent | Unknown:
        """One read, signed in."""
        request = Request(method="GET", url=f"{self.base_url}/Patient/abc", headers={})
        return self.way_in.send(request, deadline_seconds=20)

    def put(self) -> Response | NotSent | Unknown:
        request = Request(method="PUT", url=f"{self.base_url}/Patient/abc", headers={}, body=b"{}")
        return self.way_in.send(request, deadline_seconds=20)

    def status(self) -> int:
        outcome = self.ask()
        assert isinstance(outcome, Response), outcome
        return outcome.status

    def refused(self) -> NotSent:
        outcome = self.ask()
        assert isinstance(outcome, NotSent), outcome
        return outcome
