"""Two services, one SQLite file, one HAPI: killed again and again, every chart is right."""

from pathlib import Path

import pytest

from tests.journey import storm

PLAN = storm.Plan(seed="small", sessions=40, kills=8)

pytestmark = [pytest.mark.hapi, pytest.mark.slow]


def test_forty_sessions_arrive_once_and_in_order_through_kills(hapi: str, tmp_path: Path) -> None:
    told = storm.run(tmp_path, hapi, PLAN)

    assert told.kills == PLAN.kills
    storm.check(told, PLAN)
