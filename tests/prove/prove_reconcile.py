"""A thousand edits of one moment, with every notification lost: all seen by the next look."""

import random
from collections.abc import Callable
from datetime import timedelta

from tests.factories import World, a_pulse, a_short_visit
from tests.mapping_sets import few_mappings

EDITS = 1000
LEFT_ALONE = 200
Say = Callable[[str], None]
NOTE = [{"text": "Synthetic note: confirmed by phone"}]


def test_r21_a_thousand_edits_of_one_moment_are_all_found_and_nothing_else_is(say: Say) -> None:
    world = World(mapped=few_mappings)
    world.connect()
    pulses = [a_pulse(f"v-{n}", 60 + n % 90) for n in range(EDITS + LEFT_ALONE)]
    receipt = world.take(a_short_visit(vitals=pulses))
    world.bridge.reconcile("ehr", actor="test")
    world.clock.advance(timedelta(hours=1))
    edited = random.Random(5).sample(world.of_mapping(receipt, "vital-heart-rate"), EDITS)
    for one in edited:
        world.ehr.edit(one, note=NOTE)

    report = world.bridge.reconcile("ehr", actor="test")

    assert (report.full, report.kinds) == (False, {"edited": EDITS})
    assert {f"{one['type']}/{one['resource_id']}" for one in world.bridge.drift()} == set(edited)
    say(f"{len(edited)} of {EDITS} edits of one moment found, and none of {LEFT_ALONE} others")
