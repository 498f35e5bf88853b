"""R21, R25: how soon an edit there is found and a retraction is there, by the program's own clock.

What `serve` does in threads is done here in the order and at the intervals in which it does it.
"""

from datetime import timedelta

import pytest

from fhirbridge.deliver.worker import SWEEP_SECONDS
from fhirbridge.reconcile.watch import Watch
from tests.factories import World, a_short_visit, amended, retracted
from tests.fakes import Fault
from tests.mapping_sets import few_mappings

WATCH = timedelta(seconds=60)
SWEEP = timedelta(seconds=SWEEP_SECONDS)
NOTE = [{"text": "Synthetic note: confirmed by phone"}]
PULSE = "vital-heart-rate"


class Service:
    """The two loops of `serve`, on a clock that the test moves."""

    def __init__(self, world: World, *, looked_ago: timedelta = timedelta()) -> None:
        self.world = world
        self.looks = 0
        self._watch = Watch(world.bridge._reconcile_rooms(), seconds=WATCH.total_seconds())
        self._next_look = world.clock.now() + WATCH - looked_ago

    def until(self, found: str) -> timedelta:
        """Let it work until this is so; return how long that took."""
        began = self.world.clock.now()
        while not getattr(self, found)():
            assert self.world.clock.now() - began < timedelta(hours=1), "it is never found"
            self.world.clock.advance(SWEEP)
            self.world.sync()
            if self.world.clock.now() >= self._next_look:
                self._watch.round()
                self.looks += 1
                self._next_look += WATCH
        return self.world.clock.now() - began

    def sees_a_difference(self) -> bool:
        return bool(self.world.bridge.drift())

    def has_retracted_all(self) -> bool:
        pulses = self.world.ehr.all_of("Observation")
        return {one["status"] for one in pulses} == {"entered-in-error"}


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


@pytest.mark.parametrize("looked_ago", [0, 1, 30, 59])
@pytest.mark.parametrize("what", ["an edit", "a deletion"])
def test_r21_an_edit_or_a_deletion_there_is_found_by_the_next_look(
    world: World, what: str, looked_ago: int
) -> None:
    (pulse,) = world.of_mapping(world.take(a_short_visit()), PULSE)
    world.clock.advance(WATCH)
    service = Service(world, looked_ago=timedelta(seconds=looked_ago))

    world.ehr.edit(pulse, note=NOTE) if what == "an edit" else world.ehr.delete(pulse)
    took = service.until("sees_a_difference")

    assert service.looks == 1
    assert took <= WATCH + SWEEP


def test_r21_an_edit_made_while_we_write_is_found_by_the_look_after(world: World) -> None:
    (pulse,) = world.of_mapping(world.take(a_short_visit()), PULSE)
    service = Service(world)

    world.take(a_short_visit(2))
    world.ehr.edit(pulse, note=NOTE)
    service.until("sees_a_difference")

    assert service.looks == 1


def test_r25_a_retraction_is_there_within_a_minute_of_its_record(world: World) -> None:
    for patient in ("pt-1", "pt-2", "pt-3"):
        world.take(a_short_visit(patient=patient))
    service = Service(world)

    for patient in ("pt-1", "pt-2", "pt-3"):
        world.accept(retracted(a_short_visit(patient=patient)))
    took = service.until("has_retracted_all")

    assert took <= timedelta(seconds=60)


def test_r25_a_retraction_whose_answer_is_lost_is_there_within_a_minute(world: World) -> None:
    world.take(a_short_visit())
    service = Service(world)
    world.accept(retracted(a_short_visit()))
    world.ehr.transport.script = [Fault.LOST, Fault.NOT_SENT]

    took = service.until("has_retracted_all")

    assert took <= timedelta(seconds=60)


def test_r25_a_row_that_left_its_record_is_retracted_within_a_minute(world: World) -> None:
    world.take(a_short_visit())
    service = Service(world)

    world.accept(amended(a_short_visit(), lambda new: new.pop("vitals")))
    took = service.until("has_retracted_all")

    assert took <= timedelta(seconds=60)
