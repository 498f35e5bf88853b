"""One record version: what was found in it, what it became, and where each resource stands."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, case, func, or_, select

from fhirbridge.deliver import ledger as ledger_of
from fhirbridge.fhir.references import is_id
from fhirbridge.outbox import contents
from fhirbridge.outbox.states import OPEN, STUCK
from fhirbridge.outbox.stuck import waits_for_mappings
from fhirbridge.records import history
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import delivery, delivery_item, destination, ledger, resource

Body = Callable[[Connection, str], dict[str, Any]]
Why = Callable[[Connection, str], list[dict[str, Any]]]


def view(tx: Connection, *, vault: Vault, body: Body, record_id: str) -> dict[str, Any] | None:
    """Return a record version with deliveries and resources, or None. The bodies are PHI."""
    row = history.find(tx, record_id)
    if row is None:
        return None
    held = history.content(tx, vault, record_id)
    return {
        "id": row.id,
        "version": row.version,
        "state": row.state,
        "received_at": row.received_at,
        "translation": row.translation,
        "mapping_set": row.set_digest,
        "findings": held["findings"],
        "problems": held["problems"],
        "zone_applied": held["zone_applied"],
        "destinations": by_destination(tx, record_id),
        "deliveries": [_delivery(tx, one, held) for one in _deliveries(tx, record_id)],
        "resources": [_resource(tx, one, body) for one in contents.of_record(tx, record_id)],
    }


def by_destination(tx: Connection, record_id: str) -> list[dict[str, Any]]:
    """Say of each destination, removed ones too, how far a record version got there. No PHI.

    `there`: how many of its resources the EHR has in any version; `as_made`: how many just so.
    """
    rows = _deliveries(tx, record_id)
    made = (
        select(ledger.c.destination, func.count().label("there"))
        .add_columns(func.sum(case((ledger.c.digest == resource.c.digest, 1), else_=0)))
        .join(
            resource,
            (resource.c.type == ledger.c.type) & (resource.c.resource_id == ledger.c.resource_id),
        )
        .join(destination, destination.c.name == ledger.c.destination)
        .where(
            resource.c.record_id == record_id,
            resource.c.overlay == destination.c.overlay,
            resource.c.purpose.in_(contents.STATEMENTS),
            ledger_of.is_ours(),
        )
        .group_by(ledger.c.destination)
    )
    held = {row[0]: (row[1], row[2]) for row in tx.execute(made)}
    named = select(destination.c.name, destination.c.removed_at).order_by(destination.c.name)
    return [
        {
            "destination": name,
            "removed_at": removed_at,
            "deliveries": dict(
                sorted(Counter(row.state for row in rows if row.destination == name).items())
            ),
            "waits_for": sorted({row.reason for row in rows if _waits(row, name) and row.reason}),
            "there": held.get(name, (0, 0))[0],
            "as_made": held.get(name, (0, 0))[1],
        }
        for name, removed_at in tx.execute(named).all()
        if name in held or any(row.destination == name for row in rows)
    ]


def _waits(row: Any, name: str) -> bool:
    return row.destination == name and row.state in (*OPEN, *STUCK)


def _deliveries(tx: Connection, record_id: str) -> list[Any]:
    chosen = select(delivery).where(delivery.c.record_id == record_id)
    return list(
        tx.execute(chosen.order_by(delivery.c.destination, delivery.c.created_at, delivery.c.lane))
    )


def _delivery(tx: Connection, row: Any, content: dict[str, Any]) -> dict[str, Any]:
    chosen = (
        select(delivery_item)
        .where(delivery_item.c.delivery_id == row.id)
        .order_by(delivery_item.c.position)
    )
    items = [
        {
            "resource": f"{item.type}/{item.resource_id}",
            "outcome": item.outcome or "waiting",
            "reason": item.reason,
        }
        for item in tx.execute(chosen)
    ]
    lane = "shared" if row.lane == contents.SHARED_LANE else "patient"
    named = {
        name: getattr(row, name)
        for name in ("id", "destination", "state", "reason", "attempts", "due_at")
    }
    return {
        **named,
        "problems": history.withheld(content, row.destination) if waits_for_mappings(row) else [],
        "lane": lane,
        "sequence": row.sequence,
        "items": items,
    }


def _resource(tx: Connection, row: Any, body: Body) -> dict[str, Any]:
    chosen = (
        select(ledger)
        .join(destination, destination.c.name == ledger.c.destination)
        .where(
            ledger.c.type == row.type,
            ledger.c.resource_id == row.resource_id,
            destination.c.overlay == row.overlay,
        )
    )
    identity = contents.Identity(row.type, row.resource_id)
    newest = contents.winner(tx, identity, row.overlay, row.lane)
    return {
        "resource": f"{row.type}/{row.resource_id}",
        "mapping": row.mapping,
        "overlay": row.overlay,
        "scope": row.scope,
        "counts": newest is not None
        and newest.id == row.id,  # false: a newer record decides what is sent
        "at": [
            {
                "destination": line.destination,
                "ehr_id": line.ehr_id,
                "version": line.ehr_version,
                "same": line.digest == row.digest,
                "delivered_at": line.delivered_at,
            }
            for line in tx.execute(chosen)
        ],
        "body": body(tx, row.id),
    }


def explained(tx: Connection, why: Why, identity: contents.Identity) -> list[dict[str, Any]]:
    """Say, for each destination that holds a resource, from what the version there was made.

    `identity`: ours, or what the destination calls it.
    Paths, lines and rules only, no PHI; empty where none holds it.
    """
    if not is_id(identity.id):
        return []
    chosen = (
        select(ledger.c.destination, ledger.c.ehr_version, resource)
        .join(resource, resource.c.id == ledger.c.resource)
        .where(
            ledger.c.type == identity.type,
            or_(ledger.c.resource_id == identity.id, ledger.c.ehr_id == identity.id),
        )
        .order_by(ledger.c.destination)
    )
    return [
        {
            "destination": row.destination,
            "version": row.ehr_version,
            "record": row.record_id,
            "purpose": row.purpose,
            "mapping": row.mapping,
            "overlay": row.overlay,
            "mapping_set": row.set_digest,
            "why": why(tx, row.id),
        }
        for row in tx.execute(chosen)
    ]


def table_of(tx: Connection, destination: str) -> list[dict[str, Any]]:
    """Count what a destination holds of ours, by type."""
    chosen = (
        select(ledger.c.type, func.count().label("resources"))
        .where(ledger.c.destination == destination, ledger_of.is_ours())
        .group_by(ledger.c.type)
        .order_by(ledger.c.type)
    )
    return [dict(row) for row in tx.execute(chosen).mappings()]
