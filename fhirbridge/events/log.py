"""Append events and read them in order, each in the transaction of what it tells of.

An event is thin: a kind, our opaque name of a patient, codes, counts and ids of ours. Who may see
more asks for it by these. Whoever read up to a sequence never misses a lower one: the numbers are
given out one by one, and a number is seen only after all that are lower.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, func, insert, select

from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.pull_tables import event

PAGE = 200


class NoSuchSequenceError(BridgeError):
    """A reader asks for what comes after an event that was never told, or after no number."""

    code = "E441"
    http_status = HTTPStatus.BAD_REQUEST


class Kind(StrEnum):
    """What an event is about; the values never change their meaning."""

    EHR_CHANGED = "ehr.changed"


class Subkind(StrEnum):
    """What of it changed."""

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

    subkind: Subkind
    destination: str
    patient: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    kind: Kind = Kind.EHR_CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events after a sequence, the lowest first; `last` is what to ask after next."""

    events: Sequence[dict[str, Any]]
    last: int
    more: bool


def append(tx: Connection, rng: Rng, one: Event, *, at: datetime) -> int:
    """Write one event in the caller's transaction; return its sequence.

    Of two that take the same number at once, the second finds it taken and is done again.
    """
    sequence = last(tx) + 1
    values = {
        "sequence": sequence,
        "id": new_id(rng),
        "at": moment.to_text(at),
        "kind": one.kind.value,
        "subkind": one.subkind.value,
        "destination": one.destination,
        "patient": one.patient,
        "detail": codec.canonical(dict(one.detail)).decode(),
    }
    tx.execute(insert(event), values)
    return sequence


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
    rows = tx.execute(chosen.order_by(event.c.sequence).limit(most)).mappings().all()
    told = [{**row, "detail": codec.decode_own(row["detail"].encode())} for row in rows]
    reached = told[-1]["sequence"] if told else sequence
    return Page(events=told, last=reached, more=reached < highest)


def last(tx: Connection) -> int:
    """Return the highest sequence; 0 before the first event."""
    return tx.scalar(select(func.max(event.c.sequence))) or 0
