"""R1, R20, P1: kill -9 at a few boundaries of each kind; `make prove` does a thousand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.numbers.killing import Killing, Toll, a_backlog, a_visit_and_its_amendment
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow

EVERY_NTH = 47
COMMIT = {"before commit", "after commit"}


@pytest.fixture
def far() -> Iterator[EhrAtWork]:
    with EhrAtWork() as at_work:
        yield at_work


def places(boundaries: list[str]) -> list[int]:
    """Some of all boundaries, and both sides of some commit: those are few among the statements."""
    sides = [[n for n, name in enumerate(boundaries, 1) if name == side] for side in COMMIT]
    return sorted(
        {*range(1, len(boundaries) + 1, EVERY_NTH), *(one[len(one) // 2] for one in sides)}
    )


def test_r01_p01_a_kill_leaves_no_record_without_its_rows_and_no_row_without_its_record(
    far: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    killing = Killing(tmp_path, written_mappings, far, a_visit_and_its_amendment())
    toll = Toll()

    for place in places(killing.boundaries):
        killing.run(place, toll)

    assert toll.wrong == []
    assert set(toll.kills) >= COMMIT
    assert toll.runs >= 5


def test_r20_after_a_kill_at_most_one_unit_of_a_lane_goes_again(
    far: EhrAtWork, written_mappings: Path, tmp_path: Path
) -> None:
    killing = Killing(tmp_path, written_mappings, far, a_backlog(2, 3))
    sending = [n for n, name in enumerate(killing.boundaries, 1) if name == "after the answer"]
    toll = Toll()

    for place in sending[1::3]:
        killing.run(place, toll)

    assert toll.wrong == []
    assert max(toll.resent) <= 1
