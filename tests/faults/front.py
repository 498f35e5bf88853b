"""A sandbox EHR behind a real socket that does to requests and answers what a test orders.

What is ordered is a step of tests/egress/fake_server.py; those here have the EHR behind them, so
that a request whose answer is spoilt has really taken effect.
"""

import ssl
from collections.abc import Callable
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

from fhirbridge.fhir import codec
from tests.egress.fake_server import FakeServer, Seen, Step, Talk, http
from tests.fakes import FarSide, FrozenClock

NAME = "ehr.invalid"
Change = Callable[[dict[str, Any]], None]


class Front:
    """Serves `far` on a free port. Orders are taken one by one; then `choose` is asked."""

    def __init__(self, far: FarSide, clock: FrozenClock, context: ssl.SSLContext | None) -> None:
        self.far = far
        self.orders: list[Step | None] = []  # None: no trouble
        self.choose: Callable[[Seen], Step | None] = lambda _seen: None
        self.late: list[Seen] = []
        self.alter: Change = lambda _resource: None  # the server's own way with what it is given
        self._clock = clock
        self._secure = context is not None
        self.server = FakeServer(self._meet, context=context)

    @property
    def base_url(self) -> str:
        return f"{'https' if self._secure else 'http'}://{NAME}:{self.server.port}/fhir"

    def asked(self) -> list[str]:
        """Say what each request was, in the order in which they came."""
        return [kind_of(seen) for seen in self.server.seen]

    def _meet(self, talk: Talk) -> None:
        ordered = self.orders.pop(0) if self.orders else None
        if ordered is None:
            talk.body()
            ordered = self.choose(talk.seen)
        (ordered or self.answered)(talk)

    # --- steps --------------------------------------------------------------------------------

    def answered(self, talk: Talk) -> None:
        """Do what is asked and say so."""
        talk.say(self.served(talk))

    def after_commit(self, step: Step) -> Step:
        """Do what is asked; what the client hears of it is the other step's matter."""

        def committed(talk: Talk) -> None:
            self.served(talk)
            step(talk)

        return committed

    def garbled(self, change: Callable[[bytes], bytes], *, hangs_up: bool = True) -> Step:
        """Do what is asked, and say it with other bytes."""

        def said(talk: Talk) -> None:
            talk.say(change(self.served(talk)))
            if hangs_up:
                talk.hang_up()

        return said

    def reworded(self, change: Change) -> Step:
        """Do what is asked, and say it in another JSON."""

        def said(raw: bytes) -> bytes:
            body = codec.decode(raw.split(b"\r\n\r\n", 1)[1])
            assert isinstance(body, dict)
            change(body)
            return http(codec.encode(body), f"Content-Type: {codec.FHIR_JSON}")

        return self.garbled(said, hangs_up=False)

    def delayed(self, talk: Talk) -> None:
        """Keep the request back; it arrives when `land_late` is called."""
        talk.body()
        self.late.append(talk.seen)
        talk.reset()

    def land_late(self) -> list[int]:
        """Let every delayed copy arrive now; return the statuses that nobody reads."""
        late, self.late = self.late, []
        return [self._handled(seen)[0] for seen in late]

    # --- the EHR ------------------------------------------------------------------------------

    def served(self, talk: Talk) -> bytes:
        """Do what is asked; return the whole answer."""
        talk.body()
        status, headers, body = self._handled(talk.seen)
        lines = [f"{name}: {value}" for name, value in headers.items()]
        return http(body, *lines, self.date, status=f"{status} {HTTPStatus(status).phrase}")

    @property
    def date(self) -> str:
        return f"Date: {format_datetime(self._clock.now(), usegmt=True)}"

    def _handled(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        target = seen.target.removeprefix("/fhir")
        body = self._altered(seen)
        return self.far.model.handle(seen.method, target, seen.headers, body, base=self.base_url)

    def _altered(self, seen: Seen) -> bytes:
        resources = written(seen)
        if not resources:
            return seen.body
        whole = codec.decode(seen.body)
        for entry in whole.get("entry", [{"resource": whole}]):
            self.alter(entry["resource"])
        return codec.encode(whole)


def written(seen: Seen) -> list[dict[str, Any]]:
    """The resources that a request would write."""
    if seen.method not in ("POST", "PUT") or seen.target.endswith("/_search") or not seen.body:
        return []
    body = codec.decode(seen.body)
    if seen.method == "PUT":
        return [body]
    if body["resourceType"] != "Bundle":
        return [body]
    entries = body["entry"] if body.get("type") == "transaction" else []
    return [entry["resource"] for entry in entries]


def kind_of(seen: Seen) -> str:
    """Say what a request is: `send`, `send alone`, `read back` or its method and target."""
    if seen.method == "PUT":
        return "send alone"
    if seen.target.rstrip("/") == "/fhir" and seen.method == "POST":
        return "read back" if b'"batch"' in seen.body else "send"
    return f"{seen.method} {seen.target.partition('?')[0]}"
