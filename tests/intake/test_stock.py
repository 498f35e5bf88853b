"""Taking stock documents in: stored once, with evidence, and delivered to nobody."""

from typing import Any

import pytest
from sqlalchemy import func, select

from fhirbridge.fhir import codec
from fhirbridge.records.checked import InvalidRecordError
from fhirbridge.records.history import VersionTakenError
from fhirbridge.store.tables import evidence, metadata
from fhirbridge.store.tables import stock as table
from tests.factories import World
from tests.records.test_stock import a_stock
from tests.records.visits import edited


def take(world: World, document: Any) -> Any:
    return world.bridge.accept_stock(codec.encode(document), actor="test")


def counted(world: World) -> dict[str, int]:
    with world.store.read() as tx:
        return {
            name: tx.scalar(select(func.count()).select_from(one)) or 0
            for name, one in metadata.tables.items()
        }


def grown(world: World, before: dict[str, int]) -> dict[str, int]:
    after = counted(world)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def actions(world: World) -> list[tuple[str, str]]:
    with world.store.read() as tx:
        rows = tx.execute(select(evidence.c.action, evidence.c.outcome).order_by(evidence.c.at))
        return [(row.action, row.outcome) for row in rows if "stock" in row.action]


def test_a_stock_document_is_stored_with_evidence_and_makes_no_delivery(world: World) -> None:
    before = counted(world)

    receipt = take(world, a_stock())

    assert (receipt.version, receipt.state, receipt.findings) == (1, "current", ())
    assert grown(world, before) == {
        "stock": 1,
        "payload_key": 1,
        "evidence": 1,
        "evidence_waiting": 1,
    }
    assert actions(world) == [("stock.accepted", "current")]


def test_what_is_stored_is_the_document_and_cannot_be_read_in_the_database(world: World) -> None:
    receipt = take(world, a_stock())

    shown = world.bridge.stock_document(receipt.id, actor="test")

    with world.store.read() as tx:
        row = tx.execute(select(table)).one()
    assert shown is not None
    assert shown["document"] == a_stock()
    assert b"SYN-LOT-77" not in row.sealed
    assert "stock-2026-03" not in row.stock_key
    assert actions(world)[-1] == ("stock.read", "ok")


def test_the_same_document_again_stores_nothing_and_is_answered_alike(world: World) -> None:
    first = take(world, a_stock())
    before = counted(world)

    again = take(world, a_stock())

    assert (again.id, again.state) == (first.id, "repeated")
    assert grown(world, before) == {"evidence": 1, "evidence_waiting": 1}


def test_a_version_with_other_content_is_refused_and_put_in_quarantine(world: World) -> None:
    take(world, a_stock())
    before = counted(world)

    with pytest.raises(VersionTakenError):
        take(world, a_stock(counts=[], losses=[]))
    assert grown(world, before) == {
        "quarantine": 1,
        "payload_key": 1,
        "evidence": 1,
        "evidence_waiting": 1,
    }


def test_a_refused_document_is_put_in_quarantine(world: World) -> None:
    before = counted(world)

    with pytest.raises(InvalidRecordError):
        take(world, edited(a_stock(), ("/losses/0/kind", "thft")))
    assert grown(world, before) == {
        "quarantine": 1,
        "payload_key": 1,
        "evidence": 1,
        "evidence_waiting": 1,
    }


@pytest.mark.parametrize(
    ("order", "states"),
    [((1, 2), ["superseded", "current"]), ((2, 1), ["current", "older"])],
)
def test_the_newest_version_counts_whichever_comes_first(
    world: World, order: tuple[int, ...], states: list[str]
) -> None:
    for version in order:
        take(world, a_stock(version=version))

    by_id = {row["version"]: row["state"] for row in world.bridge.stock()}

    assert [by_id[version] for version in order] == states


def test_the_same_document_id_in_two_clinics_names_two_documents(world: World) -> None:
    other = {"id": "clinic-2", "name": "Synthetic West"}
    take(world, a_stock())
    take(world, a_stock(clinic=other))
    names = ("schema", "stock_id", "recorded_at")
    gone = {name: a_stock()[name] for name in names} | {"status": "entered-in-error", "version": 2}

    take(world, {**gone, "clinic": {"id": "clinic-2"}})

    rows = [(row["version"], row["state"], row["in_error"]) for row in world.bridge.stock()]
    assert sorted(rows) == [(1, "current", False), (1, "superseded", False), (2, "current", True)]


def test_held_elements_of_the_stock_are_named_and_counted(world: World) -> None:
    held = edited(a_stock(), ("/counts/0/found/unit", "mgg"))

    receipt = take(world, held)

    assert [finding.code for finding in receipt.findings] == ["R202"]
    assert [row["held"] for row in world.bridge.stock()] == [1]


def test_a_stock_document_that_nobody_knows_is_not_found(world: World) -> None:
    assert world.bridge.stock_document("0" * 32, actor="test") is None
