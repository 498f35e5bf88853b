"""What signing in means for deliveries: stop, wait, one alert; nothing lost, no secret told."""

import io
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from fhirbridge import log
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import Request, Response
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.signin import keys
from fhirbridge.signin.book import Book
from fhirbridge.signin.keys import Algorithm, Keys
from fhirbridge.signin.methods import Change, Method
from fhirbridge.signin.tokens import Tokens
from fhirbridge.signin.transport import Rooms, SignedIn
from fhirbridge.store import tables
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings

SMART = Change(
    method=Method.SMART,
    client="our-client",
    scopes="system/*.write",
    token_url="https://ehr.invalid/token",
)
DENIED = 401, b'{"resourceType":"OperationOutcome","issue":[]}'


class Gate:
    """The wire of an EHR that lets in who brings the token of the day."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.token_calls = 0
        self.told: list[str] = []  # everything secret that went over the wire
        self.lets_in = True
        self.error = ""
        self.forbids = False

    def send(self, request: Request, *, deadline_seconds: float) -> Any:
        if request.url.endswith("/token"):
            self.token_calls += 1
            body = (request.body or b"").decode()
            self.told.append(body.partition("client_assertion=")[2])
            if self.error:
                return self._said(400, {"error": self.error, "error_description": body})
            token = f"secret-token-{self.token_calls}"
            self.told.append(token)
            said = {"access_token": token, "token_type": "bearer", "expires_in": 300}
            return self._said(200, {**said, "scope": "system/Patient.write"})
        assert request.headers["Authorization"] == f"Bearer secret-token-{self.token_calls}"
        if not self.lets_in:
            return Response(status=DENIED[0], headers={}, body=DENIED[1])
        if self.forbids and request.method != "GET":
            return self._said(403, {"resourceType": "OperationOutcome", "issue": []})
        return self._world.ehr.transport.send(request, deadline_seconds=deadline_seconds)

    @staticmethod
    def _said(status: int, value: Any) -> Response:
        return Response(status=status, headers={}, body=codec.encode(value))


class SignedInWorld(World):
    """A bridge whose one EHR is behind a sign-in."""

    def __init__(self) -> None:
        self.lines = io.StringIO()
        log.configure(self.lines)
        super().__init__(mapped=few_mappings)
        self.gate = Gate(self)
        self.signing = Rooms(
            store=self.store,
            clock=self.clock,
            rng=self.rng,
            book=Book(vault=self.vault, clock=self.clock, rng=self.rng),
            keys=Keys(vault=self.vault, clock=self.clock),
            tokens=Tokens(store=self.store, vault=self.vault, clock=self.clock),
            connect=lambda _to, _way: self.gate,
            proxy="",
        )
        self.connect()
        self.bridge._add_key("ehr", keys.make(Algorithm.ES384), "test")
        self.bridge.set_sign_in("ehr", SMART, actor="test")

    def _ehr_for(self, destination: Destination) -> Ehr:
        return Ehr(base_url=destination.base_url, transport=SignedIn(self.signing, destination))

    def close(self) -> None:
        self.store.close()
        structlog.reset_defaults()

    def alerts(self) -> list[str]:
        return [one["kind"] for one in self.told if one["what"] == "started"]

    def leaks(self) -> list[str]:
        """What secret of the wire stands in the log, in an alert or in any row."""
        said = self.lines.getvalue() + repr(self.told)
        with self.store.read() as tx:
            for table in tables.metadata.sorted_tables:
                said += repr(tx.execute(select(table)).all())
        with self.store.read() as tx:
            kept = self.signing.book.find(tx, "ehr")
            signer = self.signing.keys.signer(tx, "ehr")
        said += repr(kept) + repr(signer) + repr(self.bridge.signing_keys())
        assert signer is not None
        secrets = [*self.gate.told, str(signer.key.as_dict(private=True)["d"])]
        return [one for one in secrets if one and one in said]


@pytest.fixture
def world() -> Iterator[SignedInWorld]:
    with closing(SignedInWorld()) as made:
        yield made


def states(world: World) -> set[str]:
    return {row.state for row in world.rows()}


def test_s20_a_day_of_deliveries_with_one_token_at_a_time_tells_no_secret(
    world: SignedInWorld,
) -> None:
    world.take(a_short_visit())
    world.clock.advance(timedelta(minutes=10))
    world.take(a_short_visit(patient="pt-2"))

    assert states(world) == {"delivered"}
    assert world.gate.token_calls == 2
    assert len(world.gate.told) == 4  # the control: assertions and tokens were on the wire
    assert world.leaks() == []


@pytest.mark.parametrize("how", ["the EHR", "who gives tokens"])
def test_a2_a_destination_that_refuses_us_stops_with_one_alert_and_keeps_its_backlog(
    world: SignedInWorld, how: str
) -> None:
    world.gate.lets_in = how != "the EHR"
    world.gate.error = "invalid_client" if world.gate.lets_in else ""

    world.accept(a_short_visit())
    world.accept(a_short_visit(patient="pt-2"))
    world.settle(days=1)

    paused = world.bridge.destination("ehr").paused
    assert paused.startswith("the EHR refused our sign-in: ")
    assert world.gate.token_calls == 2
    assert world.alerts().count("auth") == 1
    assert states(world) == {"pending"}
    assert world.leaks() == []
    world.gate.lets_in, world.gate.error = True, ""
    world.clock.advance(timedelta(minutes=5))  # the next call may go
    world.bridge.resume(Stopped("ehr", ""), actor="test")
    world.settle(days=1)
    assert states(world) == {"delivered"}


def test_a8_what_a_scope_is_missing_for_is_parked_and_the_scope_is_named(
    world: SignedInWorld,
) -> None:
    world.gate.forbids = True

    world.take(a_short_visit())

    reasons = [row.reason for row in world.rows("parked")]
    assert reasons
    assert all("answered 403; missing scope: system/" in one for one in reasons)
    assert world.gate.token_calls == 1
    assert world.leaks() == []


def test_a_destination_of_another_machine_without_a_sign_in_gets_nothing(
    world: SignedInWorld,
) -> None:
    with world.store.begin() as tx:
        world.signing.book.forget(tx, "ehr")

    world.take(a_short_visit())

    assert "a way to sign in (--sign-in) is not set" in world.bridge.destination("ehr").paused
    assert states(world) == {"pending"}


def test_s35_a_token_that_came_back_with_a_backup_is_not_sent(world: SignedInWorld) -> None:
    world.take(a_short_visit(1))
    world.bridge.note_restore(made_at="2026-03-01T08:00:00Z", actor="test")

    world.take(a_short_visit(2))

    assert world.gate.token_calls == 2
    assert states(world) == {"delivered"}
