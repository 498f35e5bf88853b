"""Amendments, workers that die, a bad network: in the end all is as it should be."""

import pytest

from tests.deliver.storm import Storm


def after_a_storm(seed: int, *, assigned: bool = False) -> list[str]:
    storm = Storm(seed, assigned=assigned)
    storm.blow()
    storm.heal()
    return list(storm.faults())


@pytest.mark.parametrize("first", range(0, 20, 5))
def test_after_healing_the_ehr_shows_what_counts_and_nothing_was_done_twice(first: int) -> None:
    found = {seed: faults for seed in range(first, first + 5) if (faults := after_a_storm(seed))}

    assert found == {}


@pytest.mark.parametrize("first", range(200, 208, 4))
def test_so_too_where_the_ehr_names_what_is_new(first: int) -> None:
    seeds = range(first, first + 4)
    found = {seed: faults for seed in seeds if (faults := after_a_storm(seed, assigned=True))}

    assert found == {}


def test_so_too_where_its_gateway_says_404_of_what_is_there() -> None:
    assert after_a_storm(288, assigned=True) == []


@pytest.mark.slow
def test_the_same_over_many_more_seeds() -> None:
    found = {seed: faults for seed in range(20, 120) if (faults := after_a_storm(seed))}

    assert found == {}


def test_the_same_seed_is_the_same_storm() -> None:
    first, second = Storm(7), Storm(7)
    for storm in (first, second):
        storm.blow()
        storm.heal()

    assert first.world.ehr.model.snapshot() == second.world.ehr.model.snapshot()
    assert [row.id for row in first.world.rows()] == [row.id for row in second.world.rows()]
