"""E4 under kill -9: an export is there whole, or nothing of it is; another run makes it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fhirbridge.audit import verifying
from fhirbridge.exports.question import Form, Question
from tests.factories import a_short_visit
from tests.journey.installation import Installation, ShiftedClock
from tests.journey.kill_points import NEVER, Boundaries, killed
from tests.operate.conftest import Desk
from tests.operate.ehr_at_work import EhrAtWork

pytestmark = pytest.mark.slow

EVERY_NTH_STATEMENT = 23
QUESTION = Question(destination="ehr", forms=frozenset({Form.TRANSACTION, Form.CSV}))


@pytest.fixture
def home(desk: Desk, ehr: EhrAtWork, installed: Installation) -> Installation:  # noqa: ARG001  it holds what is exported
    """An installation whose EHR holds two patients."""
    desk.take(a_short_visit(), a_short_visit(patient="pt-2"))
    desk.run("sync", "run")
    there = replace(
        installed.settings,
        home=desk.home,
        database_url=f"sqlite:///{desk.home / 'fhirbridge.db'}",
        master_key_file=desk.home / "master.key",
        site_key_file=desk.home / "site.key",
        evidence_key_file=desk.home / "evidence.key",
    )
    return Installation(settings=there, clock=ShiftedClock())


def export(home: Installation, target: Path, kill_at: int, passed: Path) -> None:
    boundaries = Boundaries(kill_at)
    with home.bridge() as bridge:
        boundaries.watch(bridge)
        bridge.export(QUESTION, target, actor="test", zip_wanted=True)
    passed.write_text("\n".join(boundaries.passed))


def places(passed: Path) -> list[int]:
    return [
        number
        for number, name in enumerate(passed.read_text().splitlines(), start=1)
        if not name.startswith("statement") or number % EVERY_NTH_STATEMENT == 0
    ]


def test_e4_a_kill_anywhere_leaves_nothing_half_made(home: Installation, tmp_path: Path) -> None:
    whole = home.copy(tmp_path / "whole", tenant="main")
    assert not killed(partial(export, whole, tmp_path / "all", NEVER, tmp_path / "passed"))
    met = places(tmp_path / "passed")

    for place in met:
        here, target = home.copy(tmp_path / f"at-{place}", tenant="main"), tmp_path / f"p-{place}"
        assert killed(partial(export, here, target, place, tmp_path / "none")), place
        assert not target.exists(), place  # each of these is before the folder has its name

        with here.bridge() as bridge:
            bridge.export(QUESTION, target, actor="test", zip_wanted=True)
            keys = [verifying.Trusted(key=one.verifier) for one in bridge.evidence_keys()]
        assert verifying.verify(target, keys).files > 0, place
        left = [one.name for one in tmp_path.glob(".*")]
        assert left == [], place

    assert len(met) > 5
