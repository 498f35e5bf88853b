"""What an operator does holds for many: the full numbers, for `make prove`."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.numbers.many import Many, independent, remove_one
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
TWENTY = 20

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


def test_r27_twenty_ehrs_have_twenty_fates_and_one_is_removed(
    written_mappings: Path,  # noqa: F811
    tmp_path: Path,
    say: Say,
) -> None:
    many = Many(tmp_path, written_mappings, TWENTY)

    with many.running() as bridge:
        found = independent(many, bridge)
        many.opened.set()
        slow = [name for name, fate in many.fates.items() if fate == "slow"]
        many.until(bridge, lambda now: all(now[name] == "delivered" for name in slow))

        assert [remove_one(bridge, name) for name in ("ehr-0", "ehr-2", "ehr-3")] == [[], [], []]

    counts = Counter(found.values())
    say(f"R27: 1 record, {TWENTY} EHRs, the slow ones silent: {dict(counts)}; 3 removed, 0 changed")
