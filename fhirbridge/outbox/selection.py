"""Which deliveries, or which records, an operator means. Empty fields mean any."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select

from fhirbridge.destinations import registry
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, record, resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Every field narrows it. All are opaque ids, names, times and beginnings of reasons."""

    delivery_id: str = ""
    destination: str = ""
    received_from: datetime | None = None
    received_before: datetime | None = None
    record_id: str = ""
    patient: str = ""  # our opaque name of one, as `sync status` shows it
    type: str = ""  # of a resource
    reason: str = ""  # how the reason begins
    mapping_set: str = ""  # how the digest begins


EVERYTHING = Selection()


def check(tx: Connection, chosen: Selection) -> None:
    """Refuse a destination that is not there, which else would mean nothing.

    Raises DestinationError.
    """
    if chosen.destination:
        registry.get(tx, chosen.destination)


def of_deliveries(chosen: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions on deliveries."""
    met: list[ColumnElement[bool]] = []
    if chosen.delivery_id:
        met.append(delivery.c.id == chosen.delivery_id)
    if chosen.destination:
        met.append(delivery.c.destination == chosen.destination)
    if chosen.reason:
        met.append(delivery.c.reason.startswith(chosen.reason, autoescape=True))
    if chosen.mapping_set:
        met.append(delivery.c.set_digest.startswith(chosen.mapping_set, autoescape=True))
    if chosen.type:
        carried = select(delivery_item.c.delivery_id).where(delivery_item.c.type == chosen.type)
        met.append(delivery.c.id.in_(carried))
    about = _of_their_record(chosen)
    if about:
        met.append(delivery.c.record_id.in_(select(record.c.id).where(*about)))
    return met


def of_records(chosen: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions on record versions."""
    met = _of_their_record(chosen)
    if chosen.mapping_set:
        met.append(record.c.set_digest.startswith(chosen.mapping_set, autoescape=True))
    if chosen.type:
        made = select(resource.c.record_id).where(resource.c.type == chosen.type)
        met.append(record.c.id.in_(made))
    if chosen.destination or chosen.reason or chosen.delivery_id:
        narrow = Selection(
            delivery_id=chosen.delivery_id, destination=chosen.destination, reason=chosen.reason
        )
        met.append(record.c.id.in_(select(delivery.c.record_id).where(*of_deliveries(narrow))))
    return met


def _of_their_record(chosen: Selection) -> list[ColumnElement[bool]]:
    met: list[ColumnElement[bool]] = []
    if chosen.record_id:
        met.append(record.c.id == chosen.record_id)
    if chosen.patient:
        met.append(record.c.patient_key == chosen.patient)
    if chosen.received_from is not None:
        met.append(record.c.received_at >= moment.to_text(chosen.received_from))
    if chosen.received_before is not None:
        met.append(record.c.received_at < moment.to_text(chosen.received_before))
    return met
