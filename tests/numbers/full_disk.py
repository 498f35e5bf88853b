"""`unshare --mount python -m tests.numbers.full_disk FOLDER`: a disk of a few MB fills up there."""

import os
import subprocess
import sys
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

from fhirbridge.store.engine import StoreBusyError
from tests.factories import World, a_short_visit, few_mappings

SIZE, LEFT = "4m", 300_000


def main(folder: Path) -> str:
    """Fill the disk under a bridge that goes on; return what was seen. Raises AssertionError."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "none", folder], check=True)
    world = World(url=f"sqlite:///{folder / 'test.db'}", mapped=few_mappings)
    world.connect()
    world.take(a_short_visit(patient="pt-0"))
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
        f"a full disk of {SIZE}: {acknowledged} acknowledged and {refused} answered 503, reads "
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
