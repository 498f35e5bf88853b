"""The engine with its full numbers: three hosts at HAPI, and a backlog of ten thousand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import losing, three_hosts
from tests.engine.site import Site
from tests.postgres.server import Server

PLAN = three_hosts.Plan(sessions=1_000, lease_seconds=60, patience_seconds=3_600)
BACKLOG = 10_000
PATIENCE = 3_600

Say = Callable[[str], None]
pytestmark = pytest.mark.postgres


def test_r36_p04_a_thousand_sessions_by_three_hosts_of_which_one_dies_and_one_sleeps(
    hapi: str, postgres: Server, tmp_path: Path, say: Say
) -> None:
    told = three_hosts.run(tmp_path, postgres, hapi, PLAN)

    three_hosts.check(told, PLAN)
    say(f"R36: {three_hosts.told(told)}")


def test_r36_a_backlog_of_ten_thousand_with_one_destination_down(
    database: str, tmp_path: Path, say: Say
) -> None:
    site = Site(database, tmp_path)

    losing.backlog(site, patients=BACKLOG // 2, patience=PATIENCE)

    say(f"R36: {BACKLOG} deliveries each to two EHRs, one of them down: none waited for it")
    site.close()
