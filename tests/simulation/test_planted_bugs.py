"""The simulation finds what is planted: a clean run is worth no more than this."""

import pytest

from tests.simulation import counting, planted
from tests.simulation.planted import Bug
from tests.simulation.sim import BrokenError


@pytest.mark.slow
@pytest.mark.parametrize("bug", [*planted.NAMED, *planted.MORE], ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug, monkeypatch: pytest.MonkeyPatch) -> None:
    bug.plant(monkeypatch)

    with pytest.raises(BrokenError) as found:
        counting.run_all(range(bug.seeds))

    # A bug that only breaks the program's own code proves nothing; E301: the states refused it.
    said = str(found.value).splitlines()[0]
    assert "n0_" not in said or "E301" in said
