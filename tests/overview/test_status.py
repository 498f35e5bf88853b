"""How things stand: counts, and what is not through with the reason why."""

import pytest

from fhirbridge.fhir import codec
from fhirbridge.overview import status
from fhirbridge.overview.status import MOST_SHOWN, Status
from fhirbridge.records.findings import Level
from fhirbridge.records.schema import InvalidRecordError
from tests.factories import World, a_pulse, a_short_visit, amended
from tests.fakes import Fault, Says
from tests.journey.canaries import hits, record_with_canaries


def read(world: World) -> Status:
    with world.store.read() as tx:
        return status.read(tx, world.vault, {}, now=world.clock.now())


def test_a_new_installation_has_nothing() -> None:
    assert read(World()) == Status(
        records=0,
        held_elements=0,
        quarantined=0,
        mappings={},
        destinations=[],
        waiting=[],
        tasks=[],
        alerts=[],
        webhooks=[],
        disk={"free_mb": None, "least_mb": 0, "lasts_days": None},
    )


def test_records_are_counted_once_whatever_number_of_versions_they_have() -> None:
    world = World()
    world.accept(a_short_visit())
    world.accept(amended(a_short_visit()))
    world.accept(a_short_visit(2))

    assert read(world).records == 2


def test_held_elements_of_current_versions_are_counted() -> None:
    world = World()
    wrong = a_short_visit(vitals=[a_pulse("v-1", 72), a_pulse("v-2", 4711)])
    found = world.accept(wrong).findings
    held = read(world).held_elements

    world.accept(amended(wrong, lambda new: new["vitals"].pop()))

    assert held == len([one for one in found if one.level is Level.HELD]) > 0
    assert read(world).held_elements == 0


def test_what_lies_in_quarantine_is_counted() -> None:
    world = World()
    with pytest.raises(InvalidRecordError):
        world.accept(a_short_visit(version="wrong"))

    assert read(world).quarantined == 1


def test_a_destination_shows_its_deliveries_by_state_and_what_it_holds() -> None:
    world = World()
    world.connect()
    world.take(a_short_visit())
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    world.take(a_short_visit(2))

    (shown,) = read(world).destinations

    assert (shown["name"], shown["mode"], shown["paused"]) == ("ehr", "transaction", "")
    assert shown["deliveries"]["delivered"] == 2
    assert sum(shown["deliveries"].values()) == len(world.rows())
    assert shown["resources"] == len(world.ledger()) > 3


def test_what_is_through_does_not_wait_and_what_waits_says_why() -> None:
    world = World()
    world.connect()
    world.take(a_short_visit())
    assert read(world).waiting == []

    world.ehr.transport.choose = lambda _request: Says(status=422)
    receipt = world.take(amended(a_short_visit(), lambda new: new["vitals"].clear()))

    (one,) = read(world).waiting
    assert (one["state"], one["record_id"]) == ("parked", receipt.id)
    assert "422" in one["reason"]


def test_the_oldest_that_wait_are_shown_and_the_list_stays_short() -> None:
    world = World()
    world.connect()
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    for number in range(MOST_SHOWN + 1):
        world.accept(a_short_visit(patient=f"pt-{number}"))

    shown = read(world).waiting

    assert len(shown) == MOST_SHOWN
    assert len(world.rows()) > MOST_SHOWN


def test_nothing_of_a_patient_is_in_it() -> None:
    world = World()
    world.connect()
    given, tokens = record_with_canaries()
    world.ehr.transport.choose = lambda _request: Says(
        status=422,
        body=codec.encode(
            {
                "resourceType": "OperationOutcome",
                "issue": [{"severity": "error", "code": "invalid", "diagnostics": tokens[0]}],
            }
        ),
    )
    world.take(given)

    seen = read(world)

    assert seen.waiting
    assert hits(repr(seen).encode(), tokens) == []
