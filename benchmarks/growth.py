"""Whether a delivery costs the same beside a thousand stored sessions and a hundred thousand.

All databases are made first; then each has a round in turn, again and again, so that whatever else
the machine does falls on all alike.

Stored sessions are rows written directly: delivered long ago, with ledger, evidence and contents as
a clinic has them. Beside them real sessions are taken in, planned and delivered to an EHR that
answers at once. Shown is the rate per second of processor time, and its ratio to the smallest.
`python -m benchmarks.growth [SESSIONS…]`; the last line has a million lines of the ledger alone.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Table, insert, text

from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.store import tables
from tests.factories import World, a_visit
from tests.numbers.measuring import Stub

SIZES = (1_000, 10_000, 100_000)
LEDGER_ALONE = 1_000_000
FEW = 10  # sessions of a round
ROUNDS = 9
VISITS = 6  # of each stored patient
ROWS_AT_ONCE = 5_000
AT = "2025-01-01T00:00:00.000000Z"
EVIDENCE = 6  # rows of each stored session
SEALED = bytes(200)


class Measured(NamedTuple):
    """Sessions per second of processor time, and seconds of one plan of so many."""

    accepting: float
    planning: float
    delivering: float


def main() -> int:
    """Print one line for each size; the ratios are those of rounds beside each other."""
    sizes = [int(one) for one in sys.argv[1:]] or list(SIZES)
    wanted = [(f"{size} sessions", size, 0) for size in sizes]
    wanted.append((f"{LEDGER_ALONE} ledger rows", sizes[0], LEDGER_ALONE))
    with tempfile.TemporaryDirectory() as folder:
        worlds = [
            made(Path(folder) / f"{number}.db", sessions, ledger)
            for number, (_, sessions, ledger) in enumerate(wanted)
        ]
        rounds = [[one_round(world, 2 + n * FEW) for world in worlds] for n in range(ROUNDS)]
        for world in worlds:
            world.store.close()
    for number, (name, _, _) in enumerate(wanted):
        show(name, [(one[number], one[0]) for one in rounds[1:]])  # the first warms up
    return 0


def show(name: str, pairs: list[tuple[Measured, Measured]]) -> None:
    """Print the medians; above 1 is better than the smallest."""
    found = Measured(*map(statistics.median, zip(*(own for own, _ in pairs), strict=True)))
    ratio = Measured(
        *(
            statistics.median(own[place] / first[place] for own, first in pairs)
            for place in range(len(found))
        )
    )
    print(
        f"{name}: taken in {found.accepting:.1f}/s ({ratio.accepting:.2f}), "
        f"delivered {found.delivering:.1f}/s ({ratio.delivering:.2f}), "
        f"plan of {FEW} in {found.planning:.2f} s ({1 / ratio.planning:.2f})",
        flush=True,
    )


def made(path: Path, sessions: int, ledger: int) -> World:
    """Make a database with so many stored sessions, and so many more lines of the ledger."""
    world = World(url=f"sqlite:///{path}")
    world.connect()
    world.ehr.transport = Stub()  # type: ignore[assignment]
    take(world, 0, 2)  # what all share is there, all is compiled
    world.sync()
    fill(world, sessions, ledger)
    return world


def one_round(world: World, first: int) -> Measured:
    """Take in, plan and deliver a few."""
    accepting = seconds(lambda: take(world, first, FEW))
    planning = seconds(world.bridge.plan)
    delivering = seconds(world.sync)
    assert {row.state for row in world.rows("pending", "held", "parked")} == set()
    return Measured(FEW / accepting, planning, FEW / delivering)


def take(world: World, first: int, count: int) -> None:
    """Take in the first visit of so many new patients of one clinic."""
    visit = a_visit(1)
    for number in range(first, first + count):
        patient = {**visit["patient"], "id": f"pt-new-{number}"}
        world.accept({**visit, "session_id": f"new-{number}", "patient": patient})


def seconds(work: Any) -> float:
    """Return the processor's time: other work on the machine does not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def fill(world: World, sessions: int, ledger: int) -> None:
    """Write sessions as they are once delivered; each like the two that were really taken in."""
    with world.store.read() as tx:
        like = (
            tx.execute(
                text(
                    "SELECT * FROM record WHERE state = 'current' ORDER BY received_at DESC LIMIT 1"
                )
            )
            .mappings()
            .one()
        )
        made = (
            tx.execute(text("SELECT * FROM resource WHERE record_id = :id"), {"id": like["id"]})
            .mappings()
            .all()
        )
    rows: dict[str, list[dict[str, Any]]] = {}
    for number in range(sessions):
        for table, row in one_session(world, number, dict(like), [dict(one) for one in made]):
            rows.setdefault(table, []).append(row)
        if number % (ROWS_AT_ONCE // 50) == 0:
            write(world, rows)
    for number in range(ledger):
        rows.setdefault("ledger", []).append(line(f"x{number}", "Observation", made[0]["id"]))
        if number % ROWS_AT_ONCE == 0:
            write(world, rows)
    write(world, rows)


def write(world: World, rows: dict[str, list[dict[str, Any]]]) -> None:
    """Write what was collected, in the order in which tables point to each other."""
    with world.store.begin() as tx:
        for table in tables.metadata.sorted_tables:
            if rows.get(table.name):
                tx.execute(insert(table), whole(table, rows[table.name]))
    rows.clear()


def whole(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what the database numbers itself."""
    if table.name != "resource":
        return rows
    return [{k: v for k, v in row.items() if k != "sequence"} for row in rows]


def one_session(
    world: World, number: int, like: dict[str, Any], made: list[dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of one stored session with its table."""
    del world
    name, patient = f"old-{number}", f"patient-{number // VISITS}"
    yield "payload_key", {"owner": name, "wrapped": bytes(60), "shredded_at": None}
    times = {"received_at": AT, "recorded_at": AT}
    own = {"id": name, "session_key": name, "patient_key": patient, "subject": patient}
    screen = {"screen_held": bool(like["screen_held"]), "in_error": False}
    yield "record", {**like, **own, **times, **screen, "sealed": SEALED}
    for position, one in enumerate(made):
        is_shared = one["lane"] == SHARED_LANE
        row = f"{name}-{position}"
        own_id = one["resource_id"] if is_shared else row
        changed = {"id": row, "record_id": name, "resource_id": own_id, "sealed": SEALED}
        kept = {"lane": SHARED_LANE if is_shared else patient, "recorded_at": AT, "as_of": AT}
        yield "resource", {**one, **changed, **kept, "sealed_why": SEALED}
        if not is_shared:
            yield "ledger", line(own_id, one["type"], row)
            yield "delivery_item", item(name, position, one["type"], own_id, row)
    yield "delivery", delivery(name, patient, number % VISITS + 1, like["set_digest"])
    if number % VISITS == 0:
        lane = {"destination": "ehr", "lane": patient, "sequence": VISITS}
        yield "lane", {**lane, "fence": VISITS, "leased_until": ""}
    for step in range(EVIDENCE):
        yield "evidence", proof(f"{name}-{step}", name)


def line(own: str, kind: str, row: str) -> dict[str, Any]:
    """Return a line of the ledger."""
    known = {"destination": "ehr", "type": kind, "resource_id": own, "ehr_id": own}
    seen = {"ehr_version": "1", "digest": own, "resource": row, "sequence": 1}
    return {**known, **seen, "delivered_at": AT, "read_back_at": ""}


def item(name: str, position: int, kind: str, own: str, row: str) -> dict[str, Any]:
    """Return what a delivery carried."""
    where = {"delivery_id": name, "position": position, "type": kind, "resource_id": own}
    return {**where, "resource": row, "digest": own, "outcome": "created", "reason": "", "link": ""}


def delivery(name: str, patient: str, sequence: int, digest: str) -> dict[str, Any]:
    """Return a delivery that was through long ago."""
    place = {"id": name, "destination": "ehr", "lane": patient, "sequence": sequence}
    of_it = {"needs_shared": 1, "record_id": name, "set_digest": digest, "way": "bundle"}
    counts = {"runs": 0, "attempts": 0, "server_errors": 0}
    flags = {"repairs": False, "low": False, "urgent": False}
    times = {"due_at": AT, "created_at": AT, "changed_at": AT}
    return {**place, **of_it, **counts, **flags, **times, "state": "delivered", "reason": ""}


def proof(row: str, name: str) -> dict[str, Any]:
    """Return an evidence row."""
    said = {"actor": "worker", "action": "delivery.answered", "outcome": "ok", "destination": "ehr"}
    kept = {"payload_owner": name, "payload": SEALED, "payload_digest": "0" * 64}
    about = {"id": row, "at": AT, "record_id": name, "delivery_id": name, "detail": "{}"}
    return {**said, **about, **kept, "salt": bytes(16), "leaf": "0" * 64}


if __name__ == "__main__":
    sys.exit(main())
