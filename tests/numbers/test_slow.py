"""I15 with 60 slow senders who get three seconds; `make prove` has 500 and the real time."""

from pathlib import Path

import pytest

from tests.numbers import slow

pytestmark = pytest.mark.slow


def test_i15_slow_senders_are_cut_off_and_cost_nobody_else_anything(tmp_path: Path) -> None:
    with slow.served(tmp_path, 3) as server:
        found = slow.dawdle(server, 60, asks=5)

        assert (found.closed, found.refused, found.stored) == (60, 0, 10)
        assert server.get("/healthz")[0] == 200
