"""Each mode of delivery against a real HAPI server, and what a probe finds there."""

from pathlib import Path

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.destinations import modes, registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import projection
from tests.journey import far_side
from tests.journey.installation import AMENDED, SERIES, connect, install
from tests.journey.test_a_series_reaches_hapi import newest_bodies

pytestmark = pytest.mark.hapi
NOTE = [{"text": "Synthetic note: confirmed by phone"}]
# What such a server would lack of HAPI.
LACKING = {
    Mode.TRANSACTION: {},
    Mode.BATCH: {"transaction": False},
    Mode.SINGLE: {"transaction": False, "batch": False},
}


def probed(bridge: Bridge, mode: Mode) -> None:
    """Let the probe have found no more than this mode needs."""
    found = bridge.destination("ehr")
    with bridge._store.begin() as tx:
        registry.note_probe(tx, "ehr", {**found.traits, **LACKING[mode]})
    assert bridge.destination("ehr").mode is mode


def test_hapi_honours_what_it_claims_and_more_and_keeps_nothing_of_the_probe(
    hapi: str, tmp_path: Path
) -> None:
    with install(tmp_path).bridge() as bridge:
        connect(bridge, hapi)
        traits = bridge.destination("ehr").traits

    assert {one.name for one in modes.shown(traits) if not one.seen} == {"create_none_match"}
    assert [one.name for one in modes.shown(traits) if one.claimed and not one.seen] == []
    silent = "update as create (ids of ours): claimed no, seen yes"
    assert silent in modes.differences(traits)
    assert traits["left_behind"] == []


@pytest.mark.parametrize("mode", LACKING)
def test_a_visit_its_amendment_and_a_clinicians_edit_at_hapi(
    hapi: str, tmp_path: Path, mode: Mode
) -> None:
    with install(tmp_path).bridge() as bridge:
        connect(bridge, hapi)
        probed(bridge, mode)
        record = bridge.accept(SERIES[2].read_bytes(), actor="test").id
        bridge.sync()
        assert bridge.status().waiting == []
        bodies = newest_bodies(bridge, [record])
        assert {len(far_side.versions(hapi, one)) for one in bodies} == {1}
        differing = [
            one
            for one, ours in bodies.items()
            if not projection.same(ours, far_side.read(hapi, one))
        ]
        assert differing == []

        receipt = bridge.accept(AMENDED.read_bytes(), actor="test")
        (edited,) = [
            f"{one.identity.type}/{one.identity.id}"
            for one in receipt.owed[0].changes
            if one.identity.type == "Observation"
        ]
        before = far_side.read(hapi, edited)
        far_side.change(hapi, {**before, "note": NOTE})
        bridge.sync()

        (held,) = bridge.status().waiting
        assert held["reason"] == f"edited: {edited} changed in the EHR"
        assert far_side.read(hapi, edited)["note"] == NOTE
        assert {len(far_side.versions(hapi, one)) for one in bodies if one != edited} <= {1, 2}
