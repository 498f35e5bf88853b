"""A real HAPI server calls our real service when somebody edits there: rest-hook Subscriptions."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec
from fhirbridge.reconcile.watch import Watch
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.subscriptions.wanted import HOOK, KIND
from fhirbridge.web.app import create_app
from tests.factories import a_short_visit, amended, rate
from tests.journey import far_side
from tests.journey.installation import Installation, connect, install

pytestmark = pytest.mark.hapi
PATIENT = "pt-of-hapi-hook"
DELIVERIES = 4
NOWHERE = "https://127.0.0.1:1"
SECONDS = 20


class Calls:
    """Our receiver on this machine: the service's own application, which counts its answers."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self._heard = threading.Condition()
        self.statuses: list[str] = []
        self.server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Silent)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        def started(status: str, *more: Any) -> Any:
            with self._heard:
                self.statuses.append(status)
                self._heard.notify_all()
            return start(status, *more)

        return self._app(environ, started)

    def wait_for(self, count: int) -> None:
        """Wait until so many calls came in all; fails where they do not."""
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.statuses) >= count, SECONDS)


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        """Say nothing."""


class Place(NamedTuple):
    installation: Installation
    bridge: Bridge
    base_url: str
    calls: Calls
    watch: Watch
    record: dict[str, Any]
    pulse: str

    def state(self) -> dict[str, Any]:
        return self.bridge.subscriptions.shown("ehr")

    def edit(self, words: str) -> None:
        there = far_side.read(self.base_url, self.pulse)
        far_side.change(self.base_url, {**there, "note": [{"text": words}]})

    def later(self, seconds: int) -> None:
        self.installation.clock.ahead += timedelta(seconds=seconds)


@pytest.fixture(scope="module")
def place(hapi: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One visit there, and a HAPI that calls us."""
    installation = install(tmp_path_factory.mktemp("hook"))
    with installation.bridge() as bridge:
        connect(bridge, hapi)
        record = a_short_visit(patient=PATIENT)
        receipt = bridge.accept(codec.encode(record), actor="test")
        bridge.sync()
        view = bridge.record(receipt.id, actor="test")
        assert view is not None
        (pulse,) = [
            one["resource"]
            for one in view["resources"]
            if one["resource"].startswith("Observation/")
        ]
        bridge.reconcile("ehr", full=True, actor="test")
        calls = Calls(create_app(bridge, most_bytes=1_000_000))
        thread = threading.Thread(target=calls.server.serve_forever, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{calls.server.server_port}"
        bridge.subscriptions.ask_for("ehr", address, actor="test")
        place = Place(installation, bridge, hapi, calls, bridge.watch(seconds=60), record, pulse)
        wait_until_active(place)
        yield place
        bridge.subscriptions.end("ehr", actor="test")
        assert ours(place) == []
        calls.server.shutdown()
        thread.join()
        calls.server.server_close()


def ours(place: Place) -> list[dict[str, Any]]:
    found = far_side.search(place.base_url, KIND, _count="200")
    return [one for one in found if HOOK in one["channel"]["endpoint"]]


def wait_until_active(place: Place) -> None:
    pause = threading.Event()
    for _ in range(10 * SECONDS):
        place.bridge.subscriptions.check("ehr")
        if place.state()["state"] == "active":
            return
        pause.wait(0.1)
    pytest.fail(f"it is not active: {place.state()}")


def test_hapi_calls_us_and_the_edit_waits_for_a_person(place: Place) -> None:
    before = len(place.calls.statuses)
    place.edit("Synthetic note: confirmed by phone")
    place.calls.wait_for(before + 1)

    place.watch.hear()

    assert [(one["type"], one["kind"]) for one in place.bridge.drift()] == [
        ("Observation", "edited")
    ]
    assert set(place.calls.statuses) == {"200 OK"}
    assert {one["status"] for one in ours(place)} == {"active"}
    assert all("payload" not in one["channel"] for one in ours(place))


def test_i22_our_own_deliveries_call_us_and_lead_to_few_looks_and_no_write(place: Place) -> None:
    for found in place.bridge.drift():
        place.bridge.decide(found["id"], Choice.OURS, reason="a test", actor="test")
    place.bridge.sync()
    place.later(600)
    place.watch.round()
    before, heard, looks = far_side.versions(place.base_url, place.pulse), 0, 0
    record = place.record
    for number in range(DELIVERIES):
        heard = len(place.calls.statuses)
        record = amended(record, rate(61 + number))
        place.bridge.accept(codec.encode(record), actor="test")
        place.bridge.sync()
        place.calls.wait_for(heard + 1)
        looks += len(place.bridge.subscriptions.due())
        place.watch.hear()
        place.later(1)
    place.later(120)
    looks += len(place.bridge.subscriptions.due())
    place.watch.hear()
    place.bridge.sync()

    versions = far_side.versions(place.base_url, place.pulse)
    assert len(versions) == len(before) + DELIVERIES
    assert 2 <= looks <= 4
    assert place.bridge.drift() == []
    assert place.bridge.status().waiting == []


def test_r54_what_hapi_could_not_tell_us_is_found_by_the_next_round(place: Place) -> None:
    """Last in this file: HAPI tries for a while to call where nobody listens."""
    place.later(600)
    place.watch.round()
    place.bridge.subscriptions.ask_for("ehr", NOWHERE, actor="test")
    wait_until_active(place)
    place.edit("Synthetic note: while nobody listened")
    place.watch.hear()
    assert place.bridge.drift() == []

    place.watch.round()

    assert [one["kind"] for one in place.bridge.drift()] == ["edited"]
