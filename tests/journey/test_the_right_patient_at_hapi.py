"""A real HAPI that has the patients itself: ours go into their charts, or wait."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from fhirbridge.bridge import Bridge
from fhirbridge.destinations.registry import Patients, Policy
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from fhirbridge.reconcile import lines
from tests.journey import far_side
from tests.journey.installation import SERIES, install
from tests.matching.clinic import CLINIC, an_ehr_patient, merged_into
from tests.matching.pairs import KINDS, a_pair
from tests.matching.test_pairs import decided

pytestmark = pytest.mark.hapi
ONLY_HERE = "urn:oid:2.16.840.1.113883.19.4711"
NUMBER = [{"system": ONLY_HERE, "value": "SYN-000123"}]


def put(base_url: str, resource: dict[str, Any]) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    url = f"{base_url}/{resource['resourceType']}/{resource['id']}"
    answer = requests.put(url, data=codec.encode(resource), headers=headers, timeout=60)
    assert answer.status_code in (200, 201), answer.text


def charts(bridge: Bridge, base_url: str) -> dict[str, set[str]]:
    """In whose charts the resources of our ledger stand, by reference."""
    with bridge._store.read() as tx:
        held = [line.there for line in lines.every(tx, "ehr")]
    found = {}
    for one in held:
        body = far_side.read(base_url, f"{one.type}/{one.id}")
        named = {own for kind, own in literal_references(body) if kind == "Patient"}
        if named:
            found[f"{one.type}/{one.id}"] = named
    return found


def test_r26_o23_a_series_goes_into_the_hospitals_own_chart_and_follows_its_merge(
    hapi: str, tmp_path: Path
) -> None:
    put(hapi, an_ehr_patient("right-1", identifier=NUMBER))
    put(hapi, an_ehr_patient("right-2", "SYN-other"))
    place = install(tmp_path)
    with place.bridge() as bridge:
        bridge.add_destination(
            name="ehr",
            base_url=hapi,
            requires_consent=False,
            test_server=True,
            networks=(),
            patients=Patients(policy=Policy.MATCH, systems={CLINIC: ONLY_HERE}),
            actor="test",
        )
        bridge.accept(SERIES[0].read_bytes(), actor="test")
        bridge.sync()
        first = charts(bridge, hapi)
        put(hapi, an_ehr_patient("right-1", identifier=NUMBER, **merged_into("right-2")))
        place.clock.ahead += timedelta(minutes=11)
        bridge.accept(SERIES[1].read_bytes(), actor="test")
        bridge.sync()
        both = charts(bridge, hapi)
        report = bridge.reconcile("ehr", full=True, actor="test")
        waiting = bridge.status().waiting

    assert waiting == []
    assert first
    assert set().union(*first.values()) == {"right-1"}
    assert {one: whose for one, whose in both.items() if one not in first}
    assert all(whose == {"right-2"} for one, whose in both.items() if one not in first)
    assert (report.kinds.get("edited", 0), report.patients) == (0, 0)
    assert len(far_side.versions(hapi, "Patient/right-2")) == 1


def test_r26_one_pair_of_each_kind_is_decided_at_hapi_as_it_must_be(
    hapi: str, tmp_path: Path
) -> None:
    with install(tmp_path).bridge() as bridge:
        ehr = bridge._parts.ehr_for(
            bridge.add_destination(
                name="ehr",
                base_url=hapi,
                requires_consent=False,
                test_server=True,
                networks=(),
                actor="test",
            )
        )
        wrong, missed = [], []
        for pair in (a_pair(seed) for seed in range(len(KINDS))):
            for one in pair.there:
                put(hapi, one)
            verdict = decided(pair, ehr, match=False)
            right = verdict.reference == f"Patient/{pair.truth}"
            wrong += [pair.kind] if verdict.certain and not right else []
            missed += [pair.kind] if pair.certain and not verdict.certain else []

    assert wrong == []
    assert missed == []
