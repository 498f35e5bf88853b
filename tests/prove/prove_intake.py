"""The full numbers of what comes in, for `make prove`."""

from collections.abc import Callable
from pathlib import Path

from tests.numbers import backlog
from tests.numbers.test_backlog import MOST_GROWN

LINES = 20_000


def test_s10_a_backlog_of_twenty_thousand_lines_needs_no_more_memory(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    taken = backlog.take(tmp_path, LINES)

    last = taken.answers.pop()
    assert [one["line"] for one in taken.answers] == list(range(1, LINES + 1))
    assert (last["state"], last["detail"]) == ("complete", f"{LINES // 10} refused")
    assert taken.grown < MOST_GROWN
    say(f"S10: {LINES} lines, the service grew by {taken.grown / 1e6:.0f} MB")
