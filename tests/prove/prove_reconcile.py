"""A thousand edits of one moment, with every notification lost; and our own deliveries, told."""

import random
from collections.abc import Callable
from datetime import timedelta

from tests.factories import World, a_pulse, a_short_visit
from tests.mapping_sets import few_mappings
from tests.subscriptions.telling import looks_at_own_deliveries, told_and_watched

EDITS = 1000
LEFT_ALONE = 200
DELIVERIES, MOST_LOOKS = 50, 7
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


def test_i22_fifty_deliveries_of_ours_are_few_looks_and_no_write(say: Say) -> None:
    world = World(mapped=few_mappings)
    world.connect()
    world.bridge.reconcile("ehr", actor="test")
    _, watching = told_and_watched(world)

    found = looks_at_own_deliveries(world, watching, DELIVERIES)

    assert found <= MOST_LOOKS
    say(f"{DELIVERIES} deliveries, each told twice: {found} looks, 0 writes because of them")
