"""Each part says what it counted; the end of the run shows it."""

from collections import Counter

import pytest

from tests.simulation import counting

TOTAL = pytest.StashKey[Counter[str]]()


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Counter[str]:
    """What all simulated seeds of this run had."""
    total: Counter[str] = request.config.stash.setdefault(TOTAL, Counter())
    return total


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    total = config.stash.get(TOTAL, Counter())
    if total:
        terminalreporter.write_line(f"SIMULATED: {counting.told(total)}")
