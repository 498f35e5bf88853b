"""kill -9 between any two steps, start again and sync: nothing is lost, nothing is there twice."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import projection
from tests.journey import far_side
from tests.journey.installation import SAMPLES, Installation, connect, install
from tests.journey.kill_points import NEVER, Boundaries, killed

pytestmark = pytest.mark.slow

FIRST = SAMPLES / "03-iv-series-visit-3.v1.json"
SECOND = SAMPLES / "07-iv-series-visit-3.v2.json"
EVERY_NTH_STATEMENT = 97  # a prime: over the run it meets statements of every kind
AFTER_A_LEASE = timedelta(minutes=5)


def journey(home: Installation, kill_at: int, reached: Path) -> None:
    """Take in one visit and its amendment, deliver each; note what was acknowledged."""
    boundaries = Boundaries(kill_at)
    with home.bridge() as bridge:
        bridge.warm_up()
        boundaries.watch(bridge)
        for path in (FIRST, SECOND):
            bridge.accept(path.read_bytes(), actor="test")
            with reached.open("a") as file:
                file.write(path.name + "\n")
            bridge.sync()
    reached.with_suffix(".all").write_text("\n".join(boundaries.passed))


@pytest.fixture(scope="module")
def boundaries(sandbox: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names of all boundaries of an undisturbed journey, in order."""
    folder = tmp_path_factory.mktemp("whole")
    home = install(folder / "home")
    with home.bridge() as bridge:
        connect(bridge, sandbox)
    assert not killed(lambda: journey(home, NEVER, folder / "reached"))
    return (folder / "reached.all").read_text().splitlines()


def test_every_kind_of_boundary_is_met(boundaries: list[str]) -> None:
    assert boundaries.count("before the request") >= 3
    assert boundaries.count("before commit") >= 10
    assert len(boundaries) > 300


def test_r01_p01_a_kill_anywhere_loses_nothing_and_doubles_nothing(
    boundaries: list[str], sandbox: str, tmp_path: Path
) -> None:
    made = install(tmp_path / "made")
    with made.bridge() as bridge:
        connect(bridge, sandbox)
    places = [
        number
        for number, name in enumerate(boundaries, start=1)
        if not name.startswith("statement") or number % EVERY_NTH_STATEMENT == 0
    ]

    for place in places:
        home = made.copy(tmp_path / f"at-{place}", tenant=f"at-{place}")
        reached = tmp_path / f"at-{place}.acknowledged"
        reached.touch()

        was_killed = killed(partial(journey, home, place, reached))
        # What is done now and then came less often in this run: it had no such boundary.
        assert was_killed or met(reached) < place, place

        check_after(home, reached.read_text().split(), sandbox, f"{place}: {boundaries[place - 1]}")


def met(reached: Path) -> int:
    """Count the boundaries of a journey that came to its end."""
    return len(reached.with_suffix(".all").read_text().splitlines())


def check_after(home: Installation, acknowledged: list[str], base_url: str, where: str) -> None:
    home.clock.ahead = AFTER_A_LEASE
    with home.bridge() as bridge:
        stored = bridge.status().records
        assert stored >= min(len(acknowledged), 1), where
        # What was not acknowledged is sent again by the clinic; what was is sent again too.
        receipts = [bridge.accept(path.read_bytes(), actor="test") for path in (FIRST, SECOND)]
        for path, receipt in zip((FIRST, SECOND), receipts, strict=True):
            assert path.name not in acknowledged or receipt.state == "repeated", where
        bridge.sync()

        assert bridge.status().waiting == [], where
        check_ehr(bridge, [receipt.id for receipt in receipts], base_url, where)


def check_ehr(bridge: Bridge, records: list[str], base_url: str, where: str) -> None:
    """The EHR holds each resource as the newest record says, with one version for each content."""
    bodies: dict[str, list[object]] = {}
    for record_id in records:
        view = bridge.record(record_id, actor="test")
        assert view is not None
        for resource in view["resources"]:
            contents = bodies.setdefault(resource["resource"], [])
            if resource["body"] not in contents:
                contents.append(resource["body"])
    for reference, contents in bodies.items():
        theirs = far_side.history(base_url, reference)
        newest = contents[-1]
        assert isinstance(newest, dict)
        assert projection.same(newest, theirs[0]), (where, reference)
        # A kill between the two may let the amendment overtake: then there is one version only.
        assert len(theirs) <= len(contents), (where, reference)
