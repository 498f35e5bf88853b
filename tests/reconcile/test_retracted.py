"""What leaves a record: each type that our mappings make, and how an EHR hears of it."""

import re
from pathlib import Path

import pytest

from fhirbridge.fhir import retract
from fhirbridge.outbox import contents
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.settings import packaged_mappings
from tests.factories import World, a_visit, amended, retracted

OVERLAY = "adverse-event-resource"
EVENTS = [{"id": f"ae-{n}", "event": {"text": "Synthetic: felt as in a cartoon"}} for n in (1, 2)]
ENTERED_IN_ERROR = "entered-in-error"
SHARED = "shared by visits, never retracted"
PERSON = "no such status: a person"
# Type, and how it is taken back: the element that says so, or why none does.
HOW = {
    "AdverseEvent": PERSON,
    "Appointment": SHARED,
    "CarePlan": SHARED,
    "Condition": SHARED,
    "Consent": SHARED,
    "DocumentReference": "status",
    "Encounter": "status",
    "Goal": "lifecycleStatus",
    "Location": SHARED,
    "MedicationAdministration": "status",
    "MedicationRequest": "status",
    "MedicationStatement": SHARED,
    "Observation": "status",
    "Organization": SHARED,
    "Patient": SHARED,
    "Practitioner": SHARED,
    "PractitionerRole": SHARED,
    "Procedure": "status",
    "Provenance": SHARED,  # it tells of a delivery, which happened
}


def scopes() -> dict[str, set[str]]:
    """Type -> the scopes in which a packaged mapping, or an overlay, makes it."""
    found: dict[str, set[str]] = {}
    for path in Path(packaged_mappings()).glob("resources/*.yaml"):
        text = path.read_text("utf-8")
        target = re.search(r"^target: (\w+)$", text, re.MULTILINE)
        scope = re.search(r"^scope: (\w+)$", text, re.MULTILINE)
        assert target is not None
        assert scope is not None
        found.setdefault(target[1], set()).add(scope[1])
    return found


def test_r25_the_table_names_every_type_that_a_mapping_makes() -> None:
    assert set(HOW) == set(scopes())


@pytest.mark.parametrize(("kind", "how"), sorted(HOW.items()))
def test_r25_a_type_is_retracted_by_its_status_or_is_shared_or_is_a_persons(
    kind: str, how: str
) -> None:
    of_a_visit = "visit" in scopes()[kind]

    assert of_a_visit is (how != SHARED)
    if of_a_visit:
        assert retract.can_retract(kind) is (how != PERSON)
    if how not in (SHARED, PERSON):
        assert retract.retracted({"resourceType": kind})[how] == ENTERED_IN_ERROR


@pytest.fixture(scope="module")
def world() -> World:
    """Two visits of a series with an overlay that makes AdverseEvents; the second was an error."""
    made = World()
    made.connect(overlay=OVERLAY)
    first, second = a_visit(1), a_visit(2, adverse_events=EVENTS)
    made.take(first)
    made.take(second)
    made.take(retracted(second))
    made.settle()
    return made


def test_r25_a_visit_in_error_is_told_in_its_types_way_and_what_is_shared_stays(
    world: World,
) -> None:
    with world.store.read() as tx:
        rows = contents.of_record(tx, world.evidence("record.accepted")[1].record_id, OVERLAY)
    own = {f"{row.type}/{row.resource_id}": row.scope for row in rows}

    wrong = []
    for reference, scope in own.items():
        kind = reference.split("/")[0]
        theirs = world.ehr.read(reference)
        said = theirs.get(HOW[kind]) == ENTERED_IN_ERROR
        if said is not (scope == "visit" and HOW[kind] not in (SHARED, PERSON)):
            wrong.append(reference)
        assert len(world.ehr.history(reference)) >= (2 if said else 1)
    assert wrong == []
    assert {reference.split("/")[0] for reference in own} >= {"AdverseEvent", "Patient"}


def test_what_cannot_be_retracted_waits_for_a_person_until_it_is_removed(world: World) -> None:
    left = [f"AdverseEvent/{one['id']}" for one in world.ehr.all_of("AdverseEvent")]
    assert left

    report = world.bridge.reconcile("ehr", full=True, actor="test")
    world.bridge.reconcile("ehr", actor="test")

    assert report.kinds == {"left": len(left)}
    found = world.bridge.drift("ehr")
    assert {f"{one['type']}/{one['resource_id']}" for one in found} == set(left)
    kept, *_ = found
    world.bridge.decide(kept["id"], Choice.THEIRS, reason="stays as a note", actor="ann")
    for one in found[1:]:
        world.ehr.delete(f"{one['type']}/{one['resource_id']}")
    world.bridge.reconcile("ehr", actor="test")
    assert world.bridge.drift("ehr") == []


def test_what_comes_back_into_its_record_waits_for_nobody() -> None:
    made = World()
    made.connect(overlay=OVERLAY)
    record = a_visit(2, adverse_events=EVENTS)
    made.take(record)
    without = amended(record, lambda new: new.pop("adverse_events"))
    made.take(without)
    assert made.bridge.reconcile("ehr", actor="test").kinds.keys() == {"left"}

    back = amended(without, lambda new: new.update(adverse_events=EVENTS))
    made.take(back)
    made.bridge.reconcile("ehr", actor="test")

    assert made.bridge.drift("ehr") == []
