"""What an operator does holds for many: the full numbers, for `make prove`."""

from collections.abc import Callable
from pathlib import Path

from tests.operate import dead_letters
from tests.operate.conftest import (
    Desk,
    desk,  # noqa: F401  a fixture
    ehr,  # noqa: F401  a fixture
    installed,  # noqa: F401  a fixture
    written_mappings,  # noqa: F401  a fixture
)
from tests.operate.ehr_at_work import EhrAtWork

PARKED = 500

Say = Callable[[str], None]


def test_r13_all_that_was_parked_arrives_in_order_and_once_after_a_fix(
    desk: Desk,  # noqa: F811
    ehr: EhrAtWork,  # noqa: F811
    written_mappings: Path,  # noqa: F811
    tmp_path: Path,
    say: Say,
) -> None:
    draft = dead_letters.mended(written_mappings, tmp_path)

    dead_letters.prove_replay(desk, ehr, draft, PARKED)

    say(f"{PARKED} parked, mended, replayed: {PARKED} arrived in order, none twice, none vanished")
