"""A real HAPI that has the visit and the order itself: ours point there, or nowhere."""

from pathlib import Path
from typing import Any

import pytest

from fhirbridge.destinations.registry import Patients, Policy
from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal_references
from fhirbridge.reconcile import lines
from tests.journey import far_side
from tests.journey.installation import install
from tests.journey.test_the_right_patient_at_hapi import put
from tests.matching.clinic import CLINIC, an_ehr_patient
from tests.matching.theirs.hospital import (
    ORDERS,
    VISITS,
    a_numbered_visit,
    an_encounter,
    an_order,
)

pytestmark = pytest.mark.hapi
ONLY_HERE = "urn:oid:2.16.840.1.113883.19.4712"
NPIS = ("1990471272", "1881000008")  # which no other test gives to this server
NUMBERS = [{"system": ONLY_HERE, "value": "SYN-000123"}]


def test_safety_10_a_visit_names_the_hospitals_own_encounter_and_never_another_patients(
    hapi: str, tmp_path: Path
) -> None:
    put(hapi, an_ehr_patient("visit-p1", identifier=NUMBERS))
    put(hapi, an_ehr_patient("visit-p2", "SYN-somebody"))
    put(hapi, an_encounter("visit-e1", patient="visit-p1"))
    put(hapi, an_order("visit-o2", patient="visit-p2"))  # another patient's, of the same number
    with install(tmp_path).bridge() as bridge:
        bridge.add_destination(
            name="ehr",
            base_url=hapi,
            requires_consent=False,
            test_server=True,
            networks=(),
            patients=Patients(policy=Policy.MATCH, systems={CLINIC: ONLY_HERE}),
            theirs={"Encounter": VISITS, "MedicationRequest": ORDERS, "Practitioner": ""},
            actor="test",
        )
        visit = a_numbered_visit()
        for member, npi in zip(visit["staff"], NPIS, strict=True):
            member["npi"] = npi
        bridge.accept(codec.encode(visit), actor="test")
        bridge.sync()
        with bridge._store.read() as tx:
            held = [line.there for line in lines.every(tx, "ehr")]
        found: list[Any] = [far_side.read(hapi, f"{one.type}/{one.id}") for one in held]
        left = bridge.theirs.listed(every=False, actor="test")
        report = bridge.reconcile("ehr", full=True, actor="test")
        waiting = bridge.status().waiting

    named = {one for body in found for one in literal_references(body)}
    assert waiting == []
    assert {own for kind, own in named if kind == "Encounter"} == {"visit-e1"}
    assert not {kind for kind, _ in named} & {"MedicationRequest", "Practitioner"}
    assert {one["type"]: one["why"] for one in left} == {
        "MedicationRequest": ["other-patient"], "Practitioner": ["none"],
    }  # fmt: skip
    assert not {one.type for one in held} & {"Encounter", "MedicationRequest", "Practitioner"}
    assert report.kinds.get("edited", 0) == 0
    assert len(far_side.versions(hapi, "Encounter/visit-e1")) == 1
