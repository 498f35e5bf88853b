"""F20: what a person typed as a reason may name a patient, and stands nowhere in the clear."""

import pytest
from sqlalchemy import text

from fhirbridge.audit import reasons
from fhirbridge.audit.reasons import ReasonError
from tests.factories import A_DAY, World
from tests.mapping_sets import few_mappings

NAMED = "Wilhelmine Kettleborough asked for it"  # a reason that should name nobody, and does


def everything_in(world: World) -> bytes:
    """Every cell of every table, as it stands in the database."""
    cells = []
    with world.store.read() as tx:
        for (table,) in tx.execute(text("SELECT name FROM sqlite_schema WHERE type = 'table'")):
            for row in tx.execute(text(f'SELECT * FROM "{table}"')):
                cells += [one if isinstance(one, bytes) else str(one).encode() for one in row]
    return b"\x00".join(cells)


@pytest.fixture
def world() -> World:
    made = World(mapped=few_mappings)
    made.connect()
    return made


def test_f20_reasons_of_a_weak_guard_a_probe_and_a_removal_are_sealed(world: World) -> None:
    bridge = world.bridge
    bridge.allow_weak_guard("ehr", f"{NAMED} (guard)", actor="ann")
    world.clock.advance(A_DAY)
    bridge.probe_destination("ehr", agreed_with=f"{NAMED} (probe)", actor="ben")
    world.clock.advance(A_DAY)
    bridge.remove_destination("ehr", give_up=f"{NAMED} (removal)", actor="cat")

    assert b"Kettleborough" not in everything_in(world)
    assert [
        (one["actor"], one["action"], one["reason"]) for one in bridge.reasons("ehr", actor="dan")
    ] == [
        ("ann", "destination.weak-guard", f"{NAMED} (guard)"),
        ("ben", "destination.probed", f"{NAMED} (probe)"),
        ("cat", "destination.removed", f"{NAMED} (removal)"),
    ]
    assert [row.actor for row in world.evidence("destination.reasons-read")] == ["dan"]


def test_what_was_done_without_words_has_no_reason(world: World) -> None:
    world.bridge.allow_weak_guard("ehr", "", actor="test")
    world.bridge.probe_destination("ehr", actor="test")

    assert world.bridge.reasons("ehr", actor="test") == []


@pytest.mark.parametrize("why", ["x" * 301, "two\nlines", " "])
def test_a_reason_is_one_line(why: str) -> None:
    with pytest.raises(ReasonError):
        reasons.check(why)
