"""Append events and read them in order, each in the transaction of what it tells of.

An event is thin: a kind, our opaque name of a patient, codes, counts and ids of ours. Who may see
more asks for it by these. Whoever read up to a sequence never misses a lower one: the numbers are
given out one by one, and a number is seen only after all that are lower. What is told for each
delivery waits for its number, so that those who deliver beside each other are not in each other's
way: docs/adr/0025.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.pull_tables import event
from fhirbridge.store.webhook_tables import event_waiting

PAGE = 200
ROWS_AT_ONCE = 500
_WAITS = insert(event_waiting)  # built once: a delivery tells its end


class NoSuchSequenceError(BridgeError):
    """A reader asks for what comes after an event that was never told, or after no number."""

    code = "E441"
    http_status = HTTPStatus.BAD_REQUEST


class Kind(StrEnum):
    """What an event is about; the values never change their meaning."""

    EHR_CHANGED = "ehr.changed"
    DELIVERY_DELIVERED = "delivery.delivered"
    DELIVERY_HELD = "delivery.held"
    DELIVERY_PARKED = "delivery.parked"
    RECORD_WARNING = "record.warning"  # taken in with warnings, or with elements that are held
    RECONCILE_REPAIRED = "reconcile.repaired"  # what an EHR had lost is owed to it again
    EXPORT_READY = "export.ready"  # Bulk Data may be read by whoever began it


class Subkind(StrEnum):
    """What of an EHR changed."""

    PATIENT_CHANGED = "patient.changed"  # demographics
    PATIENT_MERGED = "patient.merged"
    CONDITION_CHANGED = "condition.changed"
    ALLERGY_CHANGED = "allergy.changed"
    MEDICATION_CHANGED = "medication.changed"
    PLAN_CHANGED = "plan.changed"  # CarePlan or Goal


# Of which types a change in an EHR is told.
OF_TYPE: Mapping[str, Subkind] = {
    "Patient": Subkind.PATIENT_CHANGED,
    "Condition": Subkind.CONDITION_CHANGED,
    "AllergyIntolerance": Subkind.ALLERGY_CHANGED,
    "MedicationRequest": Subkind.MEDICATION_CHANGED,
    "MedicationStatement": Subkind.MEDICATION_CHANGED,
    "CarePlan": Subkind.PLAN_CHANGED,
    "Goal": Subkind.PLAN_CHANGED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `detail`: codes, counts and ids of ours; no id that an EHR gave."""

    destination: str
    patient: str
    subkind: Subkind | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = Kind.EHR_CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events after a sequence, the lowest first; `last` is what to ask after next."""

    events: Sequence[dict[str, Any]]
    last: int
    more: bool


def wait(tx: Connection, one: Event, *, at: datetime) -> None:
    """Write one event in the caller's transaction; it is told once it has its number."""
    values = {
        "at": moment.to_text(at),
        "kind": one.kind.value,
        "subkind": one.subkind or "",
        "destination": one.destination,
        "patient": one.patient,
        "detail": codec.canonical(dict(one.detail)).decode(),
    }
    tx.execute(_WAITS, values)


def append(tx: Connection, rng: Rng, one: Event, *, at: datetime) -> int:
    """Write one event, number it with all that wait before it, and return its sequence.

    Of two that take the same number at once, the second finds it taken and is done again.
    """
    wait(tx, one, at=at)
    while number(tx, rng):
        pass
    return last(tx)


def waits(tx: Connection) -> bool:
    """Say whether an event waits for its number."""
    return tx.scalar(select(event_waiting.c.number).limit(1)) is not None


def number(tx: Connection, rng: Rng) -> int:
    """Give the next events that wait their numbers, in the order of their writing; return how many.

    The caller's transaction keeps other writers out, so that there is one who counts.
    """
    chosen = select(event_waiting).order_by(event_waiting.c.number).limit(ROWS_AT_ONCE)
    rows = tx.execute(chosen).mappings().all()
    if not rows:
        return 0
    counted = _counted(tx, {row["patient"] for row in rows})
    made = []
    for sequence, row in enumerate(rows, last(tx) + 1):
        patient = row["patient"]
        counted[patient] = counted.get(patient, 0) + 1
        named = {"sequence": sequence, "id": new_id(rng)}
        of_patient = counted[patient] if patient else 0
        kept = {name: row[name] for name in row if name != "number"}
        made.append({**kept, **named, "patient_sequence": of_patient})
    tx.execute(insert(event), made)
    tx.execute(delete(event_waiting).where(event_waiting.c.number <= rows[-1]["number"]))
    return len(rows)


def _counted(tx: Connection, patients: set[str]) -> dict[str, int]:
    """Return how many events of each patient were numbered."""
    highest = func.max(event.c.patient_sequence)
    chosen = select(event.c.patient, highest).where(event.c.patient.in_(patients - {""}))
    rows = tx.execute(chosen.group_by(event.c.patient))
    return {row.patient: row[1] for row in rows}


def after(tx: Connection, sequence: int, *, most: int = PAGE) -> Page:
    """Return at most `most` events after a sequence; 0 begins at the first one.

    Raises NoSuchSequenceError where nobody was ever told of that sequence.
    """
    highest = last(tx)
    if not 0 <= sequence <= highest:
        raise NoSuchSequenceError(
            f"no event has the sequence that was asked after; the last one is {highest}",
            hint="ask after what the last answer says; begin at 0 after a database was put back",
        )
    chosen = select(event).where(event.c.sequence > sequence)
    told = _read(tx, chosen.order_by(event.c.sequence).limit(most))
    reached = told[-1]["sequence"] if told else sequence
    return Page(events=told, last=reached, more=reached < highest)


def of_id(tx: Connection, event_id: str) -> dict[str, Any] | None:
    """Return one event, or None."""
    found = _read(tx, select(event).where(event.c.id == event_id))
    return found[0] if found else None


def between(tx: Connection, since: str, until: str) -> list[dict[str, Any]]:
    """Return what happened from `since` on and before `until`, times as the database has them."""
    chosen = select(event).where(event.c.at >= since, event.c.at < until)
    return _read(tx, chosen.order_by(event.c.sequence))


def last(tx: Connection) -> int:
    """Return the highest sequence; 0 before the first event."""
    return tx.scalar(select(func.max(event.c.sequence))) or 0


def _read(tx: Connection, chosen: Select[Any]) -> list[dict[str, Any]]:
    rows = tx.execute(chosen).mappings()
    return [{**row, "detail": codec.decode_own(row["detail"].encode())} for row in rows]
