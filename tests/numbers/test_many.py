"""R27: six EHRs, a slow and a broken one among them; `make prove` does it with twenty."""

from pathlib import Path

from tests.numbers.many import FATES, Many, independent, remove_one


def test_r27_each_ehr_has_a_fate_of_its_own_and_none_changes_when_another_is_removed(
    written_mappings: Path, tmp_path: Path
) -> None:
    many = Many(tmp_path, written_mappings, len(FATES))

    with many.running() as bridge:
        found = independent(many, bridge)  # the slow one has not answered yet
        many.opened.set()
        slow = [name for name, fate in many.fates.items() if fate == "slow"]
        many.until(bridge, lambda now: all(now[name] == "delivered" for name in slow))

        assert set(found.values()) == set(FATES.values())
        assert remove_one(bridge, "ehr-0") == []
        limits = {one.name: one.limits.per_day for one in bridge.destinations()}
        assert limits == {f"ehr-{number}": 1000 + number for number in range(1, len(FATES))}
