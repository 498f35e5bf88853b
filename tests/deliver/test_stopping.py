"""An operator's word ends what an answer of the EHR began, and nothing that must be looked at.

Nor does what a probe found, or an allowance, end a stop before the EHR was compared as a whole.
"""

import pytest

from fhirbridge.deliver.stopping import CHANGED
from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.reconcile import stops
from tests.deliver.by_mode import a_world
from tests.factories import World

STOPS = (stops.OWN, stops.restored("ehr", 9, 10))


@pytest.fixture
def world() -> World:
    made = World()
    made.connect()
    return made


@pytest.mark.parametrize(
    ("why", "stays"),
    [
        (f"{registry.SIGN_IN_REFUSED}: answered 401", False),
        (f"{registry.ACCESS_REFUSED}, for several patients: answered 403", False),
        (CHANGED, True),
        (registry.NOT_PROVEN, True),
        *((why, True) for why in STOPS),
    ],
)
def test_a_resume_ends_a_pause_that_an_answer_began_and_no_other(
    world: World, why: str, *, stays: bool
) -> None:
    with world.store.begin() as tx:
        registry.pause(tx, "ehr", why)

    done = world.bridge.resume(Stopped("ehr", ANY), actor="test")

    assert (done.changed, done.still_paused) == ((False, why) if stays else (True, ""))
    assert world.paused() == (why if stays else "")


def stop(world: World, why: str) -> None:
    with world.store.begin() as tx:
        stops.stop_all(tx, why)


@pytest.mark.parametrize("why", STOPS)
def test_p11_a_probe_that_proves_everything_ends_no_stop(world: World, why: str) -> None:
    stop(world, why)

    found = world.bridge.probe_destination("ehr", actor="test")

    assert (found.mode, found.paused) == (Mode.TRANSACTION, why)


@pytest.mark.parametrize("why", STOPS)
def test_p11_a_weak_guard_that_is_allowed_ends_no_stop(why: str) -> None:
    world = a_world(Mode.SINGLE, weak=True)
    world.bridge.allow_weak_guard("ehr", "", actor="test")
    stop(world, why)

    found = world.bridge.allow_weak_guard("ehr", "the vendor's ticket 4711", actor="test")

    assert (found.mode, found.paused) == (Mode.SINGLE, why)
