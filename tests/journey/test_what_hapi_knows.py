"""A real HAPI is asked what it knows of a linked patient, page by page, and of nobody else."""

from pathlib import Path

import pytest

from fhirbridge.destinations.pulls import Pull
from fhirbridge.destinations.registry import Patients, Policy
from tests.journey.installation import SERIES, install
from tests.journey.test_the_right_patient_at_hapi import put
from tests.matching.clinic import CLINIC, an_ehr_patient
from tests.pull.hospital import a_condition, a_plan, an_allergy

pytestmark = pytest.mark.hapi
ONLY_HERE = "urn:oid:2.16.840.1.113883.19.4713"
NUMBER = [{"system": ONLY_HERE, "value": "SYN-000123"}]
WHOSE = {"reference": "Patient/known-1"}
MANY = 120


def test_what_hapi_knows_of_a_linked_patient_is_read_whole_and_told(
    hapi: str, tmp_path: Path
) -> None:
    put(hapi, an_ehr_patient("known-1", identifier=NUMBER))
    put(hapi, an_ehr_patient("known-2", "SYN-somebody-else"))
    for number in range(MANY):
        put(hapi, a_condition(f"known-con-{number}", patient="known-1"))
    put(hapi, a_condition("known-con-other", patient="known-2"))
    put(hapi, an_allergy("known-all-1", patient=WHOSE))
    put(hapi, a_plan("known-plan-1", subject=WHOSE))
    with install(tmp_path).bridge() as bridge:
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
        bridge.set_pull("ehr", tuple(Pull), actor="test")
        (lane,) = {one["patient"] for one in bridge.patients.listed("ehr", every=True)}

        (first,) = bridge.pulls.pull(lane, days=30, actor="test")
        (again,) = bridge.pulls.pull(lane, days=30, actor="test")
        shown = bridge.pulls.shown("ehr", lane, values=True, actor="test")

        counts = {one.type: (one.theirs, one.ours > 0) for one in first.types}
        subkinds = [one["subkind"] for one in bridge.events(0).events if one["subkind"]]

    assert first.is_whole
    assert again.is_whole
    assert counts["Condition"] == (MANY, True)
    assert counts["CarePlan"] == (1, True)
    assert counts["AllergyIntolerance"][0] == 1
    assert subkinds == ["condition.changed", "allergy.changed", "plan.changed"]
    assert {one["contraindication"] for one in shown["flags"]} == {"pregnancy", "ketamine-allergy"}
    assert "Condition/known-con-other" not in {one["resource"] for one in shown["resources"]}
