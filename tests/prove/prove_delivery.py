"""Delivery keeps its promises: the full numbers, for `make prove`; the tests do fewer."""

from collections.abc import Callable

from tests.deliver.lost_answers import lost_answers
from tests.deliver.taking_apart import examine
from tests.deliver.test_storms import after_a_storm
from tests.factories import World
from tests.mapping_sets import few_mappings

ENTRIES = 60
LOST = 1000

Say = Callable[[str], None]


def test_r14_a_bad_resource_at_any_place_stays_behind_with_what_needs_it(say: Say) -> None:
    wrong = {}
    for bad in range(ENTRIES):
        world = World(mapped=few_mappings)
        world.connect()
        if found := examine(world, ENTRIES, bad):
            wrong[bad] = found

    assert wrong == {}
    say(
        f"{ENTRIES} deliveries of {ENTRIES} resources, a bad one at each place: it and what needs "
        "it stayed behind, the rest landed once"
    )


def test_r07_answers_that_are_lost_again_and_again_double_nothing_and_lose_nothing(
    say: Say,
) -> None:
    assert lost_answers(LOST) == []

    say(f"the answers to {LOST} writes were lost: 0 resources doubled, 0 lost")


def test_a_hundred_storms_at_an_ehr_that_gives_ids() -> None:
    found = {
        seed: faults for seed in range(220, 320) if (faults := after_a_storm(seed, assigned=True))
    }

    assert found == {}
