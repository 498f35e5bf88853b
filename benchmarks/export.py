"""What an export costs beside reading the same rows and writing them gzip'd: in one process.

A database with so many resources that one EHR holds (20,000 unless said) is made of stored visits
with real, sealed bodies. Then each way has its rounds in turn. Shown is the rate, the ratio of the
two, and the most memory that exporting took beyond what the process had before.
`python -m benchmarks.export [RESOURCES]`
"""

import gzip
import resource as of_process
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from benchmarks.growth import delivery, item, line
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.exports.question import Question
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import SHARED_LANE, Contents
from fhirbridge.store import tables
from tests.factories import World, a_visit
from tests.numbers.measuring import Stub

RESOURCES = 20_000
VISITS = 6  # of each stored patient
AT_ONCE = 500
ROUNDS = 3
AT = "2025-01-01T00:00:00.000000Z"


def main() -> int:
    """Print one line for each round, and the medians."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else RESOURCES
    with tempfile.TemporaryDirectory() as folder:
        world = World(url=f"sqlite:///{folder}/export.db")
        count = filled(world, wanted)
        before = most_memory()
        pairs = []
        for number in range(ROUNDS):
            bare = seconds(lambda: written_bare(world, Path(folder) / "bare.ndjson.gz"))
            target = Path(folder) / f"export-{number}"
            ours = seconds(lambda: exported(world, target))  # noqa: B023  called at once
            pairs.append((count / ours, count / bare))
            print(f"exported {count / ours:.0f}/s, bare {count / bare:.0f}/s", flush=True)
        ratio = statistics.median(ours / bare for ours, bare in pairs)
        grown = most_memory() - before
        print(f"{count} resources: ratio {ratio:.2f}, {grown} MiB more than before", flush=True)
        world.store.close()
    return 0


def most_memory() -> int:
    """Return the most memory that this process ever had, in MiB."""
    return of_process.getrusage(of_process.RUSAGE_SELF).ru_maxrss // 1024


def seconds(work: Callable[[], None]) -> float:
    """Return the processor's time: other work on the machine does not count."""
    began = time.process_time()
    work()
    return time.process_time() - began


def exported(world: World, target: Path) -> None:
    """Export all of it."""
    world.bridge.export(Question(destination="ehr"), target, actor="benchmark")


def written_bare(world: World, target: Path) -> None:
    """Read the same rows in the same order, open them, and write them gzip'd: no more."""
    with world.store.read() as tx, gzip.open(target, "wb", compresslevel=6) as file:
        contents = Contents(vault=world.vault, rng=world.rng)
        for some in ids(tx):
            opened = contents.opened(contents.sealed(tx, some))
            for one in some:
                file.write(codec.encode(opened[one]) + b"\n")


def ids(tx: Connection) -> Iterator[list[str]]:
    """Yield which versions the EHR holds."""
    chosen = (
        select(tables.ledger.c.resource)
        .join(tables.resource, tables.resource.c.id == tables.ledger.c.resource)
        .where(tables.ledger.c.destination == "ehr")
        .order_by(tables.resource.c.lane, tables.ledger.c.type, tables.ledger.c.resource_id)
        .execution_options(yield_per=AT_ONCE)
    )
    for some in tx.scalars(chosen).partitions(AT_ONCE):
        yield list(some)


def filled(world: World, wanted: int) -> int:
    """Store visits like one that was really taken in and delivered; return how many resources."""
    world.connect()
    world.ehr.transport = Stub()  # type: ignore[assignment]
    taken = world.accept(a_visit(1))
    world.sync()
    with world.store.read() as tx:
        like = dict(
            tx.execute(select(tables.record).where(tables.record.c.id == taken.id)).mappings().one()
        )
        chosen = select(tables.resource).where(
            tables.resource.c.record_id == taken.id, tables.resource.c.lane != SHARED_LANE
        )
        made = [dict(row) for row in tx.execute(chosen).mappings()]
    bodies = {row["id"]: world.body(row["id"]) for row in made}
    visits = -(-wanted // len(made))
    for first in range(0, visits, AT_ONCE):
        with world.store.begin() as tx:
            for number in range(first, min(first + AT_ONCE, visits)):
                store(world, tx, number, like, made, bodies)
    return visits * len(made)


def store(  # noqa: PLR0917  what a visit is made of
    world: World,
    tx: Connection,
    number: int,
    like: dict[str, Any],
    made: list[dict[str, Any]],
    bodies: dict[str, dict[str, Any]],
) -> None:
    """Write one stored visit: record, key, resources, delivery, ledger and evidence."""
    name, patient = f"old-{number:08}", f"patient-{number // VISITS:08}"
    key = world.vault.new_key(tx, name)
    own = {"id": name, "session_key": name, "patient_key": patient, "subject": patient}
    tx.execute(insert(tables.record), {**like, **own})
    tx.execute(
        insert(tables.delivery), delivery(name, patient, number % VISITS + 1, like["set_digest"])
    )
    rows: dict[Any, list[dict[str, Any]]] = {
        tables.resource: [],
        tables.ledger: [],
        tables.delivery_item: [],
    }
    for position, one in enumerate(made):
        row, own_id = f"{name}-{position}", f"{name}-{position}"
        body = codec.encode({**bodies[one["id"]], "id": own_id})
        changed = {"id": row, "record_id": name, "resource_id": own_id, "lane": patient}
        sealed = world.vault.seal(key, body, f"resource:{row}")
        kept = {k: v for k, v in one.items() if k != "sequence"}
        rows[tables.resource].append({**kept, **changed, "sealed": sealed})
        rows[tables.ledger].append(line(own_id, one["type"], row))
        rows[tables.delivery_item].append(item(name, position, one["type"], own_id, row))
    for table, some in rows.items():
        tx.execute(insert(table), some)
    log = EvidenceLog(clock=world.clock, rng=world.rng, vault=world.vault)
    for action in (Action.RECORD_ACCEPTED, Action.DELIVERY_STARTED, Action.DELIVERY_ANSWERED):
        about: dict[str, Any] = {"record_id": name, "delivery_id": name, "destination": "ehr"}
        log.append(tx, Entry(actor="worker", action=action, **about))


if __name__ == "__main__":
    sys.exit(main())
