"""`unshare --mount python -m tests.numbers.full_disk FOLDER`: a disk of a few MB fills up there."""

import os
import subprocess
import sys
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from fhirbridge.store import room
from fhirbridge.store.engine import StoreBusyError
from fhirbridge.store.room import NoRoomError
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings

SIZE, LEFT = "4m", 300_000
LEAST = 1_500_000


def main(folder: Path) -> str:
    """Fill disks under bridges that go on; return what was seen. Raises AssertionError."""
    told, full = folder / "told", folder / "full"
    for one in (told, full):
        one.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", one], check=True)
    return f"{_is_told_in_time(told)}; {_goes_on_when_it_is_full(full)}"


def _a_bridge(folder: Path, *, least: int = 0) -> World:
    url = f"sqlite:///{folder / 'test.db'}"
    world = World(url=url, mapped=few_mappings, disk=room.beside(url, least=least))
    world.connect()
    world.take(a_short_visit(patient="pt-0"))
    return world


def _is_told_in_time(folder: Path) -> str:
    """Fill the disk with records until the alarm, then until nothing more is taken in."""
    world = _a_bridge(folder, least=LEAST)
    free = []
    for number in range(1, 1000):
        measured = world.disk.measure()
        assert measured is not None
        free.append(measured.free)
        try:
            world.accept(a_short_visit(patient=f"pt-{number}"))
        except NoRoomError:
            break
        world.bridge.check_alerts()
    assert free[-2] >= LEAST // room.FLOOR > free[-1] > 0
    world.bridge.check_alerts()
    assert [(one["kind"], one["cause"]) for one in world.told] == [
        ("disk", "low"),
        ("disk", "full"),
    ]
    assert world.bridge.status().records == number
    return f"a disk of {SIZE}: told below {LEAST} bytes, no record below {LEAST // room.FLOOR}"


def _goes_on_when_it_is_full(folder: Path) -> str:
    """Fill the disk as another program does."""
    world = _a_bridge(folder)
    filler = folder / "filler"
    _fill(filler)
    acknowledged = refused = 0
    for number in range(1, 200):
        try:
            world.accept(a_short_visit(patient=f"pt-{number}"))
            acknowledged += 1
        except StoreBusyError as error:
            refused += error.http_status == HTTPStatus.SERVICE_UNAVAILABLE
        if refused == 20:
            break
    assert refused == 20
    assert acknowledged > 0
    _check_whole(world, acknowledged)
    filler.unlink()
    world.accept(a_short_visit(patient="pt-after"))
    world.settle()
    assert set(world.states()) == {"delivered"}
    assert len(world.ehr.all_of("Patient")) == acknowledged + 2
    return (
        f"a full one: {acknowledged} acknowledged and {refused} answered 503, reads "
        "worked, evidence was whole, and it went on when there was room"
    )


def _fill(path: Path) -> None:
    """Leave room for some records and a part of the next."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    os.truncate(path, path.stat().st_size - LEFT)


def _check_whole(world: World, acknowledged: int) -> None:
    """Without a restart and without room: what is there can be read, and is all there."""
    assert world.bridge.status().records == acknowledged + 1
    assert len(world.evidence("record.accepted")) == acknowledged + 1


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")
