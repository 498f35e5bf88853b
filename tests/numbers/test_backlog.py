"""A backlog of any length needs no more memory than a short one, and each line is answered."""

from pathlib import Path

import pytest

from tests.numbers import backlog

pytestmark = pytest.mark.slow
MOST_GROWN = 64_000_000
LINES = 60


def test_s10_a_backlog_is_answered_line_by_line_while_it_comes(tmp_path: Path) -> None:
    taken = backlog.take(tmp_path, LINES)

    last = taken.answers.pop()
    assert [one["line"] for one in taken.answers] == list(range(1, LINES + 1))
    assert {one["state"] for one in taken.answers} == {"current", "refused"}
    assert (last["line"], last["state"]) == (LINES, "complete")
    assert taken.grown < MOST_GROWN
