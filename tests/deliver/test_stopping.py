"""An operator's word ends what an answer of the EHR began, and nothing that must be looked at."""

import pytest

from fhirbridge.deliver.stopping import CHANGED
from fhirbridge.destinations import registry
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.reconcile import stops
from tests.factories import World


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
        (stops.OWN, True),
        (stops.restored("ehr", 9, 10), True),
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
