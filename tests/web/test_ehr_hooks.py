"""S38, I21: an EHR calls us by an address that nobody can guess, with a secret; that is a hint."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.test import TestResponse

from fhirbridge.access.rates import BURST_SECONDS
from fhirbridge.access.tokens import Role
from fhirbridge.clock import SystemClock
from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.subscriptions.book import Book
from fhirbridge.subscriptions.wanted import HOOK
from fhirbridge.web.app import create_app
from fhirbridge.web.ehr_hooks import MOST_BYTES
from tests.fakes import FrozenClock
from tests.subscriptions.telling import of_r4
from tests.web.service import Service

CANARY = "Kanarienvogel7261"


@dataclass
class Ehr:
    """One that was told how to call us."""

    service: Service
    name: str
    token: str
    secret: str

    def call(self, below: str = "", method: str = "POST", **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}", **more.pop("headers", {})}
        address = f"{HOOK}{self.token}{below}"
        return self.service.client().open(address, method=method, headers=headers, **more)

    def state(self) -> dict[str, Any]:
        (found,) = [s for s in self.service.bridge.status().destinations if s["name"] == self.name]
        calls: dict[str, Any] = found["subscription"]
        return calls


@pytest.fixture
def ehrs(service: Service) -> dict[str, Ehr]:
    """Two EHRs that may call; nobody has to ask them anything."""
    found = {}
    bridge = service.bridge
    for name in ("one", "other"):
        new = Destination(
            name=name,
            base_url="https://ehr.invalid/fhir",
            mode=Mode.TRANSACTION,
            traits={},
            requires_consent=False,
            test_server=True,
            overlay="",
            networks=(),
            paused="",
        )
        with bridge._store.begin() as tx:
            registry.add(tx, new, at="2026-05-04T09:00:00.000000Z")
        bridge.subscriptions.ask_for(name, "https://bridge.invalid", actor="test")
        with bridge._store.read() as tx:
            kept = Book(vault=bridge._parts.vault, rng=bridge._parts.rng).find(tx, name)
        assert kept is not None
        found[name] = Ehr(service, name, kept.wanted.token, kept.wanted.secret)
    return found


@pytest.fixture
def ehr(ehrs: dict[str, Ehr]) -> Ehr:
    return ehrs["one"]


OBSERVATION = b'{"resourceType":"Observation","id":"' + CANARY.encode() + b'"}'
CALLS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "nothing, as HAPI says it": {"content_type": "application/x-www-form-urlencoded"},
    "a resource, as HAPI puts it": {
        "below": f"/Observation/{CANARY}",
        "method": "PUT",
        "data": OBSERVATION,
        "content_type": "application/fhir+json",
    },
    "a resource, as R4 posts it": {"data": OBSERVATION, "content_type": "application/fhir+json"},
    "by PUT": {"method": "PUT"},
    "the Backport's": {"data": of_r4("event-notification", since=1, events=(1,))},
    "no JSON": {"data": b"<Observation/>", "content_type": "application/fhir+xml"},
    "compressed": {"data": b"\x1f\x8b" + b"x" * 99, "headers": {"Content-Encoding": "gzip"}},
    "more than is read": {"data": b'{"text":"' + b"x" * (10 * MOST_BYTES) + b'"}'},
}


def test_i21_whatever_the_ehr_sends_is_a_hint_for_it_alone(ehr: Ehr) -> None:
    before = ehr.service.evidence()
    for call in CALLS.values():
        assert ehr.service.bridge.subscriptions.due() == []
        answer = ehr.call(**call)
        assert (answer.status_code, answer.data) == (200, b"")
        assert ehr.service.bridge.subscriptions.due() == ["one"], call
        ehr.service.bridge.subscriptions.answer("one")

    assert ehr.state()["notified_at"] != ""
    # Nothing was looked at, or noted, before it was answered.
    assert (ehr.service.bridge.drift(), ehr.service.evidence()) == ([], before)


def forged(ehrs: dict[str, Ehr]) -> Iterator[tuple[str, dict[str, str]]]:
    one, other = ehrs["one"], ehrs["other"]
    right = f"Bearer {one.secret}"
    for token in ("x", "x" * 43, "x" * 1500, one.token[:-1], f"{one.token}x", one.token.swapcase()):
        yield token, {"Authorization": right}
    for header in (
        "",
        "Bearer",
        f"Bearer {other.secret}",
        f"Bearer {one.token}",
        f"Bearer {one.secret}x",
        f"Basic {one.secret}",
        one.secret,
        "Bearer " + "x" * 5000,
        f"Bearer {one.service.token(Role.ADMIN)}",
    ):
        yield one.token, {"Authorization": header}


def test_s38_a_forged_call_is_nothing_and_leaves_no_trace(
    service: Service, ehrs: dict[str, Ehr]
) -> None:
    for token, headers in forged(ehrs):
        answer = service.client().post(f"{HOOK}{token}", headers=headers, data=OBSERVATION)
        # 401: what can be no address of ours, as anywhere.
        assert answer.status_code == (404 if len(token) <= 100 else 401), headers

    assert service.bridge.subscriptions.due() == []
    assert service.evidence() == []


def test_s38_no_other_method_is_open_and_nothing_is_redirected(ehr: Ehr) -> None:
    for method in ("GET", "HEAD", "DELETE", "PATCH", "OPTIONS"):
        assert ehr.call(method=method).status_code == 401
    assert ehr.call("/").status_code == 200
    assert ehr.call("/Observation").status_code == 401
    assert ehr.call("/Observation/a/b").status_code == 401


def test_s38_neither_token_nor_secret_nor_what_was_sent_is_logged(
    service: Service, ehr: Ehr
) -> None:
    for call in CALLS.values():
        ehr.call(**call)
    service.client().post(f"{HOOK}{ehr.token}", headers={"Authorization": f"Bearer {CANARY}"})

    log = service.log.getvalue()
    for one in (ehr.token, ehr.secret, CANARY):
        assert one not in log
    routes = {event["route"] for event in service.events()}
    assert routes == {f"{HOOK}<token>", f"{HOOK}<token>/<kind>/<own>"}
    assert {event["token"] for event in service.events()} == {"one", ""}


def test_s38_one_that_calls_too_often_is_told_so_and_others_are_heard(
    service: Service, ehrs: dict[str, Ehr]
) -> None:
    service.bridge.clock = FrozenClock(SystemClock().now())
    service.app = create_app(service.bridge, most_bytes=MOST_BYTES, requests_per_second=1)
    one, other = ehrs["one"], ehrs["other"]

    answers = [one.call().status_code for _ in range(BURST_SECONDS + 5)]

    assert answers == [200] * BURST_SECONDS + [429] * 5
    assert one.call().headers["Retry-After"]
    assert other.call().status_code == 200


def test_i21_a_storm_is_few_commits(ehr: Ehr) -> None:
    ehr.call()
    with ehr.service.locked():  # by another program: who has nothing to write does not notice
        answers = {ehr.call().status_code for _ in range(100)}

    assert answers == {200}


def test_i21_a_body_of_any_length_takes_little_memory(ehr: Ehr) -> None:
    sent = b"x" * 20_000_000
    tracemalloc.start()
    ehr.call()
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()

    answer = ehr.call(data=sent)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == 200
    assert peak - before < 5_000_000
