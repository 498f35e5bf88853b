"""safety.md 13 under kill -9: taken back once or not at all, packed whole or not at all."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.bridge import Bridge
from fhirbridge.fhir import codec
from fhirbridge.records.history import Chart
from fhirbridge.store.tables import evidence
from tests.factories import a_short_visit, amended, rate
from tests.journey.installation import Installation, ShiftedClock
from tests.journey.kill_points import NEVER, Boundaries, killed
from tests.journey.test_killed_anywhere import AFTER_A_LEASE
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow

EVERY_NTH_STATEMENT = 151  # a prime: over the run it meets statements of every kind


@pytest.fixture
def record(desk: Desk, ehr: EhrAtWork) -> str:
    """The id of a visit that is in the EHR, with an amendment on its way."""
    (first,) = desk.take(a_short_visit())
    desk.run("sync", "run")
    desk.take(amended(a_short_visit(), rate(90)))
    assert len(ehr.history("Observation")) == 1
    return first


@pytest.fixture
def home(desk: Desk, installed: Installation) -> Installation:
    """The desk's installation."""
    there = replace(
        installed.settings,
        home=desk.home,
        database_url=f"sqlite:///{desk.home / 'fhirbridge.db'}",
        master_key_file=desk.home / "master.key",
        site_key_file=desk.home / "site.key",
        evidence_key_file=desk.home / "evidence.key",
    )
    return Installation(settings=there, clock=ShiftedClock())


def chart(bridge: Bridge, record: str) -> Chart:
    return bridge.chart("", [record])


def take_back(home: Installation, record: str, kill_at: int, passed: Path) -> None:
    boundaries = Boundaries(kill_at)
    with home.bridge() as bridge:
        meant = chart(bridge, record)
        bridge.warm_up()
        boundaries.watch(bridge)
        bridge.retract_chart(meant, reason="wrong chart", actor="test")
        bridge.sync()
    passed.write_text("\n".join(boundaries.passed))


def pack(home: Installation, record: str, target: Path, kill_at: int, passed: Path) -> None:
    boundaries = Boundaries(kill_at)
    with home.bridge() as bridge:
        meant = chart(bridge, record)
        boundaries.watch(bridge)
        bridge.pack_incident(meant, target, actor="test")
    passed.write_text("\n".join(boundaries.passed))


def places(passed: Path, nth: int) -> list[int]:
    names = passed.read_text().splitlines()
    return [
        number
        for number, name in enumerate(names, start=1)
        if not name.startswith("statement") or number % nth == 0
    ]


def test_safety_13_a_kill_anywhere_takes_back_once_or_not_at_all(
    home: Installation, ehr: EhrAtWork, record: str, tmp_path: Path
) -> None:
    before = ehr.model.snapshot()
    whole = home.copy(tmp_path / "whole", tenant="main")
    assert not killed(partial(take_back, whole, record, NEVER, tmp_path / "passed"))
    after = ["final", "entered-in-error"]
    assert [one["status"] for one in ehr.history("Observation")] == after

    for place in places(tmp_path / "passed", EVERY_NTH_STATEMENT):
        ehr.model.restore(before)
        here = home.copy(tmp_path / f"at-{place}", tenant="main")
        assert killed(partial(take_back, here, record, place, tmp_path / "none")), place

        here.clock.ahead = AFTER_A_LEASE
        with here.bridge() as bridge:
            bridge.retract_chart(chart(bridge, record), reason="wrong chart", actor="test")
            bridge.sync()
            assert bridge.status().waiting == [], place
        assert [one["status"] for one in ehr.history("Observation")] == after, place


def test_safety_13_a_kill_anywhere_packs_all_or_nothing(
    home: Installation, record: str, tmp_path: Path
) -> None:
    whole = home.copy(tmp_path / "whole", tenant="main")
    assert not killed(partial(pack, whole, record, tmp_path / "all", NEVER, tmp_path / "passed"))
    made = 0

    for place in places(tmp_path / "passed", nth=29):
        here, target = home.copy(tmp_path / f"at-{place}", tenant="main"), tmp_path / f"p-{place}"
        assert killed(partial(pack, here, record, target, place, tmp_path / "none")), place

        is_there = target.exists()
        if is_there:  # killed after it was there
            made += 1
        else:
            with here.bridge() as bridge:
                bridge.pack_incident(chart(bridge, record), target, actor="test")
        manifest = codec.decode((target / "manifest.json").read_bytes())
        files = [one for one in target.rglob("*") if one.is_file()]
        assert len(files) == len(manifest["files"]) + 2, place  # it, and its signature
        assert not target.with_name(f".{target.name}.part").exists()
        assert noted(here)[-1] == "done" or is_there, place

    assert made > 0


def noted(home: Installation) -> list[str]:
    chosen = select(evidence.c.outcome).where(evidence.c.action == "incident.packed")
    with home.bridge() as bridge, bridge._store.read() as tx:
        return list(tx.scalars(chosen.order_by(evidence.c.at)))
