"""Ten thousand storms: the full number, for `make prove`; the tests do two thousand."""

from collections.abc import Callable

from tests.simulation import counting

SEEDS = 10_000


def test_ten_thousand_storms_leave_every_chart_right(say: Callable[[str], None]) -> None:
    total = counting.run_all(range(SEEDS))

    assert total["seeds"] == SEEDS
    say(counting.told(total))
