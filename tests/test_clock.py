"""P5: whatever the zone of the machine, and though it changes: all times are kept in UTC."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from fhirbridge.clock import SystemClock
from fhirbridge.deliver.answer import retry_after
from fhirbridge.fhir import projection
from fhirbridge.store.tables import metadata
from tests.factories import World, a_pulse, a_short_visit
from tests.fakes import Fault
from tests.mapping_sets import few_mappings

ZONES = ("UTC", "America/New_York", "Pacific/Apia", "Asia/Kathmandu")
# In New York this hour came twice on that day: first at -04:00, then at -05:00.
TWICE = ("2025-11-02T01:30:00-04:00", "2025-11-02T01:10:00-05:00")


def in_another_process(work: Callable[[], bytes], path: Path) -> bytes:
    """Do it in a child, so that its zone is not ours."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            path.write_bytes(work())
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return path.read_bytes()


def move_to(zone: str) -> None:
    os.environ["TZ"] = zone  # noqa: TID251  what the machine's owner does
    time.tzset()


def a_day(zones: tuple[str, ...]) -> bytes:
    """Accept, fail, wait and deliver while the zone changes; return all that is stored."""
    move_to(zones[0])
    world = World(mapped=few_mappings)
    world.connect()
    vitals = [{**a_pulse(f"v-{n}", 70 + n), "time": at} for n, at in enumerate(TWICE)]
    world.accept(a_short_visit(vitals=vitals))
    world.ehr.transport.choose = lambda _request: Fault.NOT_SENT
    for zone in zones:
        move_to(zone)
        world.sync()
        world.clock.advance(timedelta(minutes=20))
    world.ehr.transport.choose = lambda _request: None
    world.settle()
    assert set(world.states()) == {"delivered"}
    with world.store.read() as tx:
        stored = [tuple(row) for one in metadata.sorted_tables for row in tx.execute(select(one))]
    return repr(stored).encode()


def test_p05_the_zone_of_the_machine_changes_nothing_that_is_stored_or_sent(
    tmp_path: Path,
) -> None:
    still = in_another_process(lambda: a_day(("UTC",) * 4), tmp_path / "still")
    moved = in_another_process(lambda: a_day(ZONES), tmp_path / "moved")

    assert len(still) > 10_000
    assert moved == still


def test_p05_the_clock_tells_utc_in_every_zone(tmp_path: Path) -> None:
    def told() -> bytes:
        for zone in ZONES:
            move_to(zone)
            now = SystemClock().now()
            assert now.utcoffset() == timedelta()
            (tmp_path / "now").touch()
            touched = datetime.fromtimestamp((tmp_path / "now").stat().st_mtime, UTC)
            assert abs(now - touched) < timedelta(minutes=1)
        return b"told"

    assert in_another_process(told, tmp_path / "told") == b"told"


def test_p05_an_hour_that_comes_twice_keeps_its_order() -> None:
    first, second = (datetime.fromisoformat(at) for at in TWICE)
    ours, theirs = ({"issued": at} for at in (TWICE[0], "2025-11-02T05:30:00Z"))

    assert first < second
    assert projection.same(ours, theirs)
    assert not projection.same(ours, {"issued": TWICE[0].replace("-04", "-05")})


@pytest.mark.parametrize("said", ["Sat, 31 Dec 2016 23:59:60 GMT", "Sun, 30 Jun 2030 23:59:60 GMT"])
def test_p05_a_leap_second_in_a_date_is_no_wish_and_breaks_nothing(said: str) -> None:
    now = datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)

    assert retry_after({"retry-after": said}, now) is None


def test_p05_a_leap_second_in_a_resource_is_compared_as_it_is_written() -> None:
    leap = {"issued": "2016-12-31T23:59:60Z"}

    assert projection.same(leap, dict(leap))
    assert not projection.same(leap, {"issued": "2017-01-01T00:00:00Z"})
