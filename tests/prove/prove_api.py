"""The full numbers of the API, for `make prove`."""

import io
from collections.abc import Callable
from pathlib import Path

from tests.numbers import slow
from tests.web.fuzzing import Fuzzed, costly
from tests.web.service import a_service

CASES = 20_000
SENDERS = 500
LET_BE = 30  # seconds


def test_s15_twenty_thousand_cases_of_the_document(
    tmp_path: Path, say: Callable[[str], None]
) -> None:
    fuzzed = Fuzzed(a_service(tmp_path / "home", io.StringIO()))

    fuzzed.each(lambda label: 300 if costly(label) else 600)
    run = fuzzed.chained(500, steps=8)

    asked = sum(run.statuses.values())
    assert run.wrong == []
    assert max(run.statuses) < 500
    assert asked >= CASES
    counted = ", ".join(f"{count} of {status}" for status, count in sorted(run.statuses.items()))
    say(f"S15: {asked} requests of the document, none undocumented: {counted}")


def test_i15_five_hundred_slow_senders(tmp_path: Path, say: Callable[[str], None]) -> None:
    with slow.served(tmp_path, slow.REAL_SECONDS) as server:
        found = slow.dawdle(server, SENDERS, asks=20)

    assert (found.closed, found.refused, found.stored) == (SENDERS, 0, 40)
    assert found.longest <= LET_BE + 5  # and what it took to open all of them
    say(
        f"I15: {SENDERS} slow senders, all closed {found.longest:.0f} s after the first came; "
        f"beside them median {found.median / found.alone:.2f} times that without, "
        f"slowest {found.slowest:.2f} s"
    )
