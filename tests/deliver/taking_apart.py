"""One visit of many pulses, and an EHR that will not take one of its resources."""

from typing import Any

from sqlalchemy import Row

from tests.deliver.refusing import Resource, heal, refuse, requests
from tests.factories import World, a_pulse, a_short_visit

BESIDE_PULSES = 2  # Patient and Provenance


def examine(world: World, entries: int, bad: int) -> list[str]:
    """Send a visit of so many entries of which one is bad; return what is wrong afterwards."""
    pulses = [a_pulse(f"v-{n}", 60 + n) for n in range(entries - BESIDE_PULSES)]
    world.accept(a_short_visit(patient=f"pt-{bad}", vitals=pulses))
    row = world.patient_rows()[-1] if bad == 0 else newest(world)
    items = world.items(row.id)
    assert len(items) == entries
    refused = items[bad].resource_id
    refuse(world, lambda resource: resource["id"] == refused)
    world.ehr.transport.sent.clear()

    world.settle()
    wrong = [*_after_refusal(world, row.id, items, bad), *_too_much_sent(world, entries)]
    heal(world)
    world.retry(row.id)
    world.settle()

    return [*wrong, *_after_retry(world, row.id, items)]


def newest(world: World) -> Row[Any]:
    """The delivery that nothing was done for yet."""
    (row,) = [row for row in world.patient_rows() if row.state == "pending"]
    return row


def waits_for(resources: dict[str, Resource], bad: str) -> set[str]:
    """References of what points to one of these, however far: found by text, not by our code."""
    waits = {bad}
    while True:
        more = {
            reference
            for reference, body in resources.items()
            if reference not in waits and any(f"'{one}'" in repr(body) for one in waits)
        }
        if not more:
            return waits - {bad}
        waits |= more


def _after_refusal(world: World, delivery_id: str, items: list[Any], bad: int) -> list[str]:
    wrong = []
    (row,) = [one for one in world.rows() if one.id == delivery_id]
    if row.state != "parked" or not row.reason.startswith("refused: the EHR will not take"):
        wrong.append(f"{bad}: {row.state}: {row.reason}")
    bodies = {f"{one.type}/{one.resource_id}": world.body(one.resource) for one in items}
    named = f"{items[bad].type}/{items[bad].resource_id}"
    waiting = waits_for(bodies, named)
    for one in world.items(delivery_id):
        reference = f"{one.type}/{one.resource_id}"
        want = "refused" if reference == named else "blocked" if reference in waiting else "created"
        there = len(world.ehr.history(reference))
        if one.outcome != want or there != (want == "created"):
            wrong.append(f"{bad}: {one.type} is {one.outcome}, not {want}; {there} versions")
        if want == "blocked" and one.reason != f"blocked-by: {named}":
            wrong.append(f"{bad}: {one.type} waits for {one.reason}")
    return wrong


def _too_much_sent(world: World, entries: int) -> list[str]:
    """Once whole, then each alone; what all patients share went before, in a lane of its own."""
    own = [sent for sent in requests(world) if sent[0]["resourceType"] != "Organization"]
    return [f"{len(own)} requests"] if len(own) > entries + 1 else []


def _after_retry(world: World, delivery_id: str, items: list[Any]) -> list[str]:
    (row,) = [one for one in world.rows() if one.id == delivery_id]
    versions = {len(world.ehr.history(f"{one.type}/{one.resource_id}")) for one in items}
    return [] if (row.state, versions) == ("delivered", {1}) else [f"{row.state}, {versions}"]
