"""Two services killed a hundred times against a real HAPI: the full number, for `make prove`."""

from collections.abc import Callable
from pathlib import Path

from tests.journey import storm

PLAN = storm.Plan(seed="full", sessions=200, kills=100, patience_seconds=600)


def test_two_hundred_sessions_arrive_once_and_in_order_through_a_hundred_kills(
    hapi: str, tmp_path: Path, say: Callable[[str], None]
) -> None:
    told = storm.run(tmp_path, hapi, PLAN)

    assert told.kills == PLAN.kills
    storm.check(told, PLAN)
    say(storm.told(told))
