"""R54 at HAPI: our receiver is down until HAPI gave up; the next round finds every edit."""

import threading
from collections.abc import Callable

import pytest
from werkzeug.serving import make_server

from fhirbridge.fhir import codec
from tests.factories import a_short_visit
from tests.journey import far_side
from tests.journey.test_hapi_tells_us import (
    Place,
    place,  # noqa: F401  a fixture
)

pytestmark = pytest.mark.hapi

PATIENTS = 8
DOWN_SECONDS = 90  # of the machine; HAPI tries for about a minute
REST = 600 - DOWN_SECONDS  # of the program's clock: ten minutes in all


def pulses(place: Place) -> list[str]:  # noqa: F811
    """Take in one visit of each patient, and name its pulse in the EHR."""
    found = []
    for number in range(PATIENTS):
        record = a_short_visit(patient=f"{place.record['patient']['id']}-{number}")
        receipt = place.bridge.accept(codec.encode(record), actor="test")
        place.bridge.sync()
        view = place.bridge.record(receipt.id, actor="test") or {}
        made = [one["resource"] for one in view["resources"]]
        found += [one for one in made if one.startswith("Observation/")]
    return found


def test_r54_what_was_edited_while_our_receiver_was_down_is_found_by_one_round(
    place: Place,  # noqa: F811
    say: Callable[[str], None],
) -> None:
    edited = pulses(place)
    place.bridge.reconcile("ehr", full=True, actor="test")
    place.later(600)
    place.watch.round()
    heard, port = len(place.calls.statuses), place.calls.server.server_port
    place.calls.server.shutdown()
    place.calls.server.server_close()

    for one in edited:
        there = far_side.read(place.base_url, one)
        far_side.change(place.base_url, {**there, "note": [{"text": "Synthetic note"}]})
        threading.Event().wait(DOWN_SECONDS / len(edited))
    place.later(REST)
    assert len(place.calls.statuses) == heard
    assert place.bridge.drift() == []

    place.calls.server = make_server("127.0.0.1", port, place.calls, threaded=True)
    threading.Thread(target=place.calls.server.serve_forever, daemon=True).start()
    place.watch.round()

    found = place.bridge.drift()
    assert [one["kind"] for one in found] == ["edited"] * PATIENTS
    place.edit("Synthetic note: now somebody listens")
    threading.Event().wait(10)
    again = len(place.calls.statuses) - heard
    say(
        f"R54: {len(found)} of {len(edited)} edits found by one round after {DOWN_SECONDS} s in "
        f"which nobody listened; HAPI called {again} times in the 10 s after it"
    )
