"""R37 with its full number: a hundred thousand rows move, are equal, and nothing goes again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select

from fhirbridge.audit import log as audit
from fhirbridge.store import moment, moving, tables
from fhirbridge.store.engine import Store
from tests.factories import World, a_short_visit
from tests.mapping_sets import few_mappings
from tests.postgres.server import Server

pytestmark = pytest.mark.postgres

ROWS = 100_000


def test_r37_a_hundred_thousand_rows(
    tmp_path: Path, postgres: Server, say: Callable[[str], None]
) -> None:
    world = World(url=f"sqlite:///{tmp_path / 'fhirbridge.db'}", mapped=few_mappings)
    world.connect()
    patients = 0
    while rows(world) < ROWS:
        for _ in range(200):
            patients += 1
            world.accept(a_short_visit(patient=f"pt-{patients}"))
        world.sync()
    url = postgres.database(made=False)
    target, now = Store(url), moment.to_text(world.clock.now())

    moved = moving.move(world.store, target, head=audit.head, now=now)

    target.check()
    there = World(url=url, seed=2, mapped=few_mappings)
    there.ehrs, sent = world.ehrs, len(world.ehr.transport.sent)
    there.sync()
    for number in range(1, patients + 1, 50):
        there.accept(a_short_visit(patient=f"pt-{number}"))
    there.sync()
    writes = [one for one in world.ehr.transport.sent[sent:] if one.method != "GET"]
    assert sum(moved.rows.values()) >= ROWS
    assert writes == []
    say(f"R37: {sum(moved.rows.values())} rows, equal on both sides; {len(writes)} writes after it")


def rows(world: World) -> int:
    chosen = [select(func.count()).select_from(one) for one in tables.metadata.sorted_tables]
    with world.store.read() as tx:
        return sum(tx.scalars(one).one() for one in chosen)
