"""R72 under kill -9: at each commit boundary a purge leaves whole charts, and goes on."""

from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.store.engine import Store
from fhirbridge.store.tables import evidence, payload_key, record, resource
from tests.factories import a_short_visit
from tests.journey.kill_points import NEVER, Boundaries, killed
from tests.retention.archive import Archive

CHARTS = 2


def purge(file: Path, kill_at: int, passed: Path) -> None:
    # A run of its own: it must not give out the ids of the one that was killed.
    archive = Archive(url=f"sqlite:///{file}", goes_on=1 + kill_at % NEVER)
    boundaries = Boundaries(kill_at)
    boundaries.watch(archive.bridge)
    archive.clock.jump(timedelta(days=2 * 2192))
    archive.purge()
    passed.write_text("\n".join(boundaries.passed))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with charts whose time is over."""
    made = tmp_path / "made.db"
    archive = Archive(url=f"sqlite:///{made}")
    for number in range(CHARTS):
        archive.take(a_short_visit(patient=f"pt-{number}"))
    archive.settle()
    archive.store.close()
    return made


def test_r72_killed_at_each_commit_boundary_nothing_is_half_erased(
    file: Path, tmp_path: Path
) -> None:
    assert not killed(partial(purge, copied(file, tmp_path / "all.db"), NEVER, tmp_path / "met"))
    names = (tmp_path / "met").read_text().splitlines()
    places = [number for number, name in enumerate(names, start=1) if name.endswith("commit")]
    assert len(places) >= 2 * CHARTS

    for place in places:
        here = copied(file, tmp_path / f"at-{place}.db")
        assert killed(partial(purge, here, place, tmp_path / "none")), place
        assert_whole(here)
        assert not killed(partial(purge, here, NEVER, tmp_path / "none"))
        assert assert_whole(here) == CHARTS, place


def copied(file: Path, target: Path) -> Path:
    for one in file.parent.glob(f"{file.name}*"):
        (target.parent / (target.name + one.name.removeprefix(file.name))).write_bytes(
            one.read_bytes()
        )
    return target


def assert_whole(file: Path) -> int:
    """Check that each record is there with all of it, or gone with all of it; count those gone."""
    store = Store(f"sqlite:///{file}")
    with store.read() as tx:
        noted = tx.scalars(
            select(evidence.c.record_id).where(evidence.c.action == "record.purged")
        ).all()
        rows = tx.execute(
            select(record.c.id, record.c.purged_at, record.c.sealed, payload_key.c.wrapped).join(
                payload_key, payload_key.c.owner == record.c.id
            )
        ).all()
        for row in rows:
            made = select(resource.c.sealed).where(resource.c.record_id == row.id)
            is_gone = [one == b"" for one in tx.scalars(made)]
            is_gone += [row.sealed == b"", row.wrapped is None, row.id in noted]
            assert set(is_gone) == {bool(row.purged_at)}
    store.close()
    assert len(noted) == len(set(noted))
    return len(noted)
