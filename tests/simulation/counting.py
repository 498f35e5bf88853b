"""Many seeds, and what they really had."""

from collections import Counter
from collections.abc import Iterable

from tests.simulation.place import remembering
from tests.simulation.sim import Ran, simulate
from tests.simulation.wire import KINDS

# The faults that are counted where they strike; kills are counted on their own.
STRUCK = (
    *KINDS,
    "late arrivals",
    "EHR down",
    "busy storage",
    "clock jumps",
    "lost message",
    "doubled message",
    "edits",
    "removals",
    "restores",
)


def run_all(seeds: Iterable[int]) -> Counter[str]:
    """Run these seeds; return what they had. Raises BrokenError at the first that ends badly."""
    total: Counter[str] = Counter()
    with remembering():
        for seed in seeds:
            total.update(simulate(seed).counts)
            total["seeds"] += 1
    return total


def run_one(seed: int) -> Ran:
    with remembering():
        return simulate(seed)


def told(total: Counter[str]) -> str:
    """One line: how much there was."""
    faults = sum(total[name] for name in STRUCK)
    kinds = ", ".join(f"{total[name]} {name}" for name in STRUCK if total[name])
    return (
        f"{total['seeds']} seeds, {total['steps']} steps, {total['deliveries']} deliveries, "
        f"{total['kills']} kills, {total['looks']} looks, {faults} faults ({kinds})"
    )
