"""How things stand: deliveries by state, what waits and why, for one destination or all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from fhirbridge.alerts import book
from fhirbridge.deliver import ledger as ledger_of
from fhirbridge.deliver import traffic
from fhirbridge.destinations import registry
from fhirbridge.outbox import pauses, selection, tasks
from fhirbridge.outbox.selection import EVERYTHING, Selection, of_deliveries
from fhirbridge.outbox.states import OPEN, STUCK
from fhirbridge.outbox.stuck import waits_for_mappings
from fhirbridge.overview import health, lag
from fhirbridge.records import history
from fhirbridge.store import moment
from fhirbridge.store.room import ENDLESS, MEGABYTE, Disk
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import delivery, ledger, record
from fhirbridge.subscriptions import book as subscriptions
from fhirbridge.webhooks import desk, endpoints

MOST_SHOWN = 50
MOST_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Counts, and the deliveries that are not through. Opaque ids only."""

    records: int
    held_elements: int
    quarantined: int
    mappings: dict[str, Any]  # what is live, and what was refused since
    destinations: list[dict[str, Any]]
    waiting: list[dict[str, Any]]
    tasks: list[dict[str, Any]]  # what a person must put right in an EHR that lets us not
    alerts: list[dict[str, Any]]  # what is wrong now and was told
    webhooks: list[dict[str, Any]]  # who is told, and how that stands
    disk: dict[str, Any]  # of the database, in MB; None where nobody can tell


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """How many sessions there are, and how much of them waits for a person."""

    records: int
    held_elements: int
    quarantined: int


def read(
    tx: Connection,
    vault: Vault,
    mappings: dict[str, Any],
    chosen: Selection = EVERYTHING,
    *,
    now: datetime,
    disk: Disk = ENDLESS,
) -> Status:
    """Read one snapshot; what waits is narrowed to what is `chosen`."""
    selection.check(tx, chosen)
    counted = records(tx)
    return Status(
        records=counted.records,
        held_elements=counted.held_elements,
        quarantined=counted.quarantined,
        mappings=mappings,
        destinations=[
            of_destination(tx, one, now)
            for one in registry.every(tx)
            if chosen.destination in ("", one.name)
        ],
        waiting=_waiting(tx, vault, chosen),
        tasks=tasks.tasks(tx, chosen.destination),
        alerts=book.lasting(tx),
        webhooks=[desk.standing(tx, one) for one in endpoints.every(tx)],
        disk=_disk(tx, disk, now),
    )


def _disk(tx: Connection, disk: Disk, now: datetime) -> dict[str, Any]:
    room = disk.measure()
    return {
        "free_mb": None if room is None else room.free // MEGABYTE,
        "least_mb": disk.least // MEGABYTE,
        "lasts_days": health.lasts_days(tx, room, now),
    }


def records(tx: Connection) -> Records:
    """Count the sessions, each once."""
    current = select(func.count(), func.coalesce(func.sum(record.c.held), 0)).where(
        record.c.state == "current"
    )
    count, held = tx.execute(current).one()
    return Records(records=count, held_elements=held, quarantined=history.quarantined(tx))


def of_destination(tx: Connection, one: registry.Destination, now: datetime) -> dict[str, Any]:
    """Return how things stand for one destination."""
    counted = (
        select(delivery.c.state, func.count())
        .where(delivery.c.destination == one.name)
        .group_by(delivery.c.state)
    )
    holds = select(func.count()).where(ledger.c.destination == one.name, ledger_of.is_ours())
    shut = traffic.closed(tx, one, now)
    return {
        "name": one.name,
        "base_url": one.base_url,
        "mode": one.mode,
        "guard": one.guard,
        "weak": one.weak,
        "paused": one.paused or _by_operator(tx, one.name),
        "waits_until": "" if shut is None else moment.to_text(shut.until),
        "waits_for": "" if shut is None else f"{shut.cause}: {shut.words}",
        "limits": one.limits.plain(),
        "deliveries": {row[0]: row[1] for row in tx.execute(counted)},
        "resources": tx.scalar(holds),
        "not_as_itself": tasks.counts(tx, one.name),
        "lag": lag.of_destination(tx, one.name, now).plain(),
        "subscription": subscriptions.shown(tx, one.name),
    }


def _by_operator(tx: Connection, name: str) -> str:
    stopped = any(p["destination"] == name and not p["patient"] for p in pauses.every(tx))
    return f"paused by an operator: fhirbridge sync resume --destination {name}" if stopped else ""


def _waiting(tx: Connection, vault: Vault, chosen: Selection) -> list[dict[str, Any]]:
    shown = (
        "id",
        "destination",
        "lane",
        "sequence",
        "record_id",
        "state",
        "reason",
        "attempts",
        "due_at",
    )
    found = (
        select(*(delivery.c[name] for name in shown))
        .where(delivery.c.state.in_([*OPEN, *STUCK]), *of_deliveries(chosen))
        .order_by(delivery.c.created_at)
        .limit(MOST_SHOWN)
    )
    return [
        {**row._asdict(), "problems": list(_problems(tx, vault, row))} for row in tx.execute(found)
    ]


def _problems(tx: Connection, vault: Vault, row: Row[Any]) -> Iterator[str]:
    """Say where the mappings fail: code, line and field, and no words that may hold a value."""
    if waits_for_mappings(row):
        content = history.content(tx, vault, row.record_id)
        for one in history.withheld(content, row.destination)[:MOST_PROBLEMS]:
            yield " ".join(part for part in (one["code"], one["line"], one["source"]) if part)
