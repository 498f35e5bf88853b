"""The state that a plan rests on, as one digest: what changes any of it makes the plan stale."""

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.destinations import registry
from fhirbridge.fhir import codec
from fhirbridge.outbox.states import OPEN, STUCK
from fhirbridge.store.drift_tables import drift
from fhirbridge.store.patient_tables import patient_link
from fhirbridge.store.tables import consent, delivery, delivery_item, destination, ledger, pause
from fhirbridge.store.theirs_tables import theirs_link

PATIENTS_AT_ONCE = 500  # of whom is asked in one question
ASKED = (
    "id",
    "destination",
    "lane",
    "sequence",
    "repairs",
    "record_id",
    "state",
    "reason",
    "attempts",
)
# Of a destination: how much at a time is no matter of what.
HOW_MUCH = frozenset(
    {"created_at", "most_entries", "most_bytes", "forbidden", "rps", "concurrent", "per_day"}
)


def digest(tx: Connection, meant: frozenset[str] | None) -> str:
    """Return the digest over what is not through of `meant` (None: all) and what bears on it."""
    total = hashlib.sha256()
    for row in _rows(tx, meant):
        total.update(codec.canonical(row) + b"\n")
    return total.hexdigest()


def _rows(tx: Connection, meant: frozenset[str] | None) -> Iterator[list[Any]]:
    """Yield plain rows in a fixed order; all of them are ids, digests, names and codes."""
    waiting = delivery.c.state.in_([*OPEN, *STUCK])
    columns = [delivery.c[name] for name in (*ASKED, "due_at", "set_digest")]
    patients = set()
    for row in tx.execute(select(*columns).where(waiting).order_by(delivery.c.id)):
        if meant is None or row.id in meant:
            patients.add(row.lane)
            yield ["delivery", *row]
    yield from _items(tx, meant)
    shown = [column for column in destination.c if column.name not in HOW_MUCH]
    for one in tx.execute(select(*shown).order_by(destination.c.name)):
        yield ["destination", *one]
    for one in tx.execute(select(pause.c.destination, pause.c.lane).order_by(*pause.primary_key)):
        yield ["pause", *one]
    yield from _of_patients(tx, patients)
    owns = select(theirs_link.c.destination, theirs_link.c.id).where(theirs_link.c.ended_at == "")
    for one in tx.execute(owns.order_by(theirs_link.c.id)):
        yield ["theirs", *one]


def _of_patients(tx: Connection, patients: Collection[str]) -> Iterator[list[Any]]:
    """Yield what each has agreed to, who is who, and whether an EHR made two of them one."""
    names = [one.name for one in registry.every(tx)]
    links = select(patient_link.c.destination, patient_link.c.lane, patient_link.c.id)
    merged = select(drift.c.destination, drift.c.lane, drift.c.id).where(
        drift.c.destination.in_(names), drift.c.kind == "merged", drift.c.state == "open"
    )
    agreed = select(consent).order_by(*consent.primary_key)
    few = sorted(patients)
    for first in range(0, len(few), PATIENTS_AT_ONCE):
        part = few[first : first + PATIENTS_AT_ONCE]
        for one in tx.execute(agreed.where(consent.c.patient_key.in_(part))):
            yield ["consent", *one]
        counts = (patient_link.c.destination.in_(names), patient_link.c.lane.in_(part))
        now = links.where(*counts, patient_link.c.ended_at == "").order_by(patient_link.c.id)
        for one in tx.execute(now):
            yield ["patient", *one]
        for one in tx.execute(merged.where(drift.c.lane.in_(part)).order_by(drift.c.id)):
            yield ["merged", *one]


def _items(tx: Connection, meant: frozenset[str] | None) -> Iterator[list[Any]]:
    chosen = (
        select(
            delivery_item.c.delivery_id,
            delivery_item.c.position,
            delivery_item.c.digest,
            delivery_item.c.outcome,
            ledger.c.ehr_version,
            ledger.c.digest.label("held"),
        )
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .outerjoin(
            ledger,
            (ledger.c.destination == delivery.c.destination)
            & (ledger.c.type == delivery_item.c.type)
            & (ledger.c.resource_id == delivery_item.c.resource_id),
        )
        .where(delivery.c.state.in_([*OPEN, *STUCK]))
        .order_by(delivery_item.c.delivery_id, delivery_item.c.position)
    )
    for row in tx.execute(chosen):
        if meant is None or row.delivery_id in meant:
            yield ["item", *row]
