"""safety.md 4, by its name: in one transaction, in parts, one by one, and over two deliveries."""

from typing import Any

import pytest

from fhirbridge.fhir import codec
from tests.deliver.refusing import Bad, heal, of_type, outcome, refuse
from tests.deliver.test_bundle_size import limit
from tests.factories import World, a_visit, amended
from tests.fakes import Says, Trouble

DOSE = "MedicationAdministration"


def a_visit_with_an_event() -> dict[str, Any]:
    record = a_visit(1)
    record["adverse_events"] = [
        {
            "id": "ae-1",
            "event": {"key": "hypoxaemia"},
            "onset": record["administrations"][0]["start"],
            "suspected": [record["administrations"][0]["id"]],
        }
    ]
    return record


def is_event(resource: dict[str, Any]) -> bool:
    return DOSE in repr(resource.get("partOf", resource.get("suspectEntity")))


def an_event_is_there(world: World) -> bool:
    found = [*world.ehr.all_of("Observation"), *world.ehr.all_of("AdverseEvent")]
    return any(is_event(one) for one in found)


def watch(world: World) -> list[str]:
    """Note each moment, after any request, at which a dose is there without its event."""
    alone: list[str] = []
    transport = world.ehr.transport
    served = transport._serve

    def serve(request: Any) -> Any:
        answer = served(request)
        if world.ehr.all_of(DOSE) and not an_event_is_there(world):
            alone.append(request.method)
        return answer

    transport._serve = serve  # type: ignore[method-assign]
    return alone


@pytest.mark.parametrize("overlay", ["", "adverse-event-resource"])
@pytest.mark.parametrize(
    "bad",
    [is_event, of_type(DOSE), of_type("Practitioner"), of_type("Encounter"), of_type("Goal")],
    ids=["the event", "the dose", "who gave it", "the visit", "something else"],
)
def test_safety_04_a_dose_is_never_delivered_while_its_adverse_event_is_parked_or_held(
    bad: Bad, overlay: str
) -> None:
    world = World()
    world.connect(overlay=overlay)
    alone = watch(world)
    world.accept(a_visit_with_an_event())
    refuse(world, bad)

    world.settle()

    assert alone == []
    assert bool(world.ehr.all_of(DOSE)) is an_event_is_there(world)
    assert world.rows("parked") != []
    heal(world)
    world.retry()
    world.settle()
    assert alone == []
    assert set(world.states()) == {"delivered"}
    assert an_event_is_there(world)


def test_safety_04_an_event_that_the_server_names_keeps_its_dose_back(world: World) -> None:
    alone = watch(world)
    world.accept(a_visit_with_an_event())

    def naming(request: Any) -> Trouble:
        bundle = codec.decode(request.body)
        for number, entry in enumerate(bundle.get("entry", [])):
            if is_event(entry.get("resource", {})):
                place = {"expression": [f"Bundle.entry[{number}].resource.valueCodeableConcept"]}
                return Says(status=422, body=outcome(place))
        return None

    world.ehr.transport.choose = naming
    world.settle()

    (parked,) = world.rows("parked")
    by_outcome = {item.outcome: item.type for item in world.items(parked.id)}
    assert by_outcome["refused"] == "Observation"
    assert "adverse_events[0].event" in parked.reason
    assert alone == []
    assert world.ehr.all_of(DOSE) == []
    assert len(world.ehr.all_of("Observation")) > 10


@pytest.mark.parametrize("most", [2, 7, 20])
def test_safety_04_in_small_parts_a_dose_and_its_event_go_together(world: World, most: int) -> None:
    alone = watch(world)
    world.accept(a_visit_with_an_event())
    limit(world, entries=most)

    world.settle()

    assert alone == []
    assert set(world.states()) == {"delivered"}
    assert an_event_is_there(world)


def test_safety_04_a_dose_whose_event_does_not_fit_beside_it_waits(world: World) -> None:
    alone = watch(world)
    world.accept(a_visit_with_an_event())
    limit(world, entries=1)

    world.settle()

    assert alone == []
    assert world.ehr.all_of(DOSE) == []
    (parked,) = world.rows("parked")
    assert "one of 2 that go together" in parked.reason


def test_safety_04_an_amended_dose_waits_for_the_event_of_an_earlier_delivery(world: World) -> None:
    alone = watch(world)
    first = a_visit(1)
    del first["administrations"]
    world.take(first)
    second = amended(first, lambda new: new.update(a_visit_with_an_event(), version=2))
    second["recorded_at"] = amended(first)["recorded_at"]
    (encounter,) = [f"Encounter/{one['id']}" for one in world.ehr.all_of("Encounter")]
    second["visit"]["end"] = second["visit"]["end"].replace(":30:", ":31:")
    world.ehr.edit(encounter, language="en")
    world.take(second)
    assert [row.state for row in world.patient_rows()] == ["delivered", "held"]

    third = amended(second)
    third["administrations"][0]["dose"]["value"] = codec.decode(b"36.50")
    third["visit"] = first["visit"]
    world.take(third)
    world.settle()

    assert alone == []
    assert world.ehr.all_of(DOSE) == []
    waiting = world.patient_rows()[-1]
    assert waiting.reason == f"blocked-by: {world.rows('held')[0].id}"
