"""R36, P1, P3, P4 on several machines: what hosts do to each other that die or sleep."""

from pathlib import Path

import pytest

from tests.engine import three_hosts
from tests.operate.ehr_at_work import EhrAtWork
from tests.postgres.server import Server

PLAN = three_hosts.Plan(sessions=30, lease_seconds=6, patience_seconds=600)

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_r36_p04_of_three_hosts_one_dies_and_one_sleeps_and_all_arrives_once_and_in_order(
    postgres: Server, tmp_path: Path
) -> None:
    with EhrAtWork() as ehr:
        told = three_hosts.run(tmp_path, postgres, ehr.url, PLAN)

    three_hosts.check(told, PLAN)
