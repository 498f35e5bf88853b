"""However deliveries go, they name the EHR's own Encounter, and a kill changes nothing."""

from typing import Any

import pytest

from fhirbridge.destinations import registry, theirs
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from tests.deliver.by_mode import MODES, a_world
from tests.factories import World, amended, rate
from tests.matching.clinic import MATCHED, an_ehr_patient
from tests.matching.theirs.hospital import (
    ORDERS,
    VISITS,
    a_numbered_visit,
    an_encounter,
    an_order,
    the_whole_set,
)


def made(world: World, body: dict[str, Any]) -> str:
    """Let the people there register something; return its id."""
    rest = {name: one for name, one in body.items() if name != "id"}
    headers = {"Content-Type": codec.FHIR_JSON}
    kind = body["resourceType"]
    before = {one["id"] for one in world.ehr.all_of(kind)}
    assert world.ehr.model.handle("POST", f"/{kind}", headers, codec.encode(rest)).status == 201
    (new,) = {one["id"] for one in world.ehr.all_of(kind)} - before
    return str(new)


@pytest.fixture(params=MODES, ids=str)
def world(request: pytest.FixtureRequest) -> World:
    mode: Mode = request.param
    found = a_world(mode, mapped=the_whole_set)
    with found.store.begin() as tx:
        registry.set_patients(tx, "ehr", MATCHED)
        theirs.choose(tx, "ehr", {"Encounter": VISITS, "MedicationRequest": ORDERS})
    return found


@pytest.mark.parametrize("killed_at", ["claimed", "answered"])
def test_safety_10_a_visit_and_its_amendment_name_the_ehrs_own(
    world: World, killed_at: str
) -> None:
    patient = made(world, an_ehr_patient())
    encounter = made(world, an_encounter(patient=patient))
    order = made(world, an_order(patient=patient))
    record = a_numbered_visit()
    world.accept(record)
    for lane in world.lanes():
        for step in world.drain(lane):
            if step == killed_at and lane != world.shared_lane():
                break
    world.settle()

    world.take(amended(record, rate(80)))

    assert set(world.states()) == {"delivered"}
    observed = {
        one.get("encounter", {}).get("reference") for one in world.ehr.all_of("Observation")
    }
    given = {one["request"]["reference"] for one in world.ehr.all_of("MedicationAdministration")}
    assert observed == {f"Encounter/{encounter}"}
    assert given == {f"MedicationRequest/{order}"}
    assert len(world.ehr.all_of("Encounter")) == 1
    assert world.bridge.reconcile("ehr", full=True, actor="test").kinds == {}
