"""All of a patient's chart that went out, or waits: where to, as which version, what was answered.

Opaque ids, types, times and codes. Who needs the content asks for it apart, and that is noted.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select

from fhirbridge.audit.log import Action
from fhirbridge.destinations import registry
from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.fhir.retract import can_retract
from fhirbridge.matching import kept
from fhirbridge.outbox.contents import ADDENDUM, PROVENANCE, RETRACTION, SHARED_LANE, TAKING_BACK
from fhirbridge.outbox.states import LANDED, OPEN, STUCK, Became
from fhirbridge.records import history
from fhirbridge.records.history import Chart
from fhirbridge.store.drift_tables import drift
from fhirbridge.store.tables import delivery, delivery_item, evidence, ledger, record, resource

RECORD = ("id", "session_key", "version", "state", "in_error", "retracted", "received_at")
RECORD_TOO = ("recorded_at", "translation", "set_digest", "warnings", "held")
DELIVERY = ("id", "destination", "record_id", "state", "reason", "attempts", "created_at")
LINK = ("id", "destination", "state", "ehr_id", "how", "why", "follows", "record_id", "actor")
LINK_TOO = ("at", "checked_at", "ended_at")
DELIVERY_TOO = ("changed_at", "due_at")
WAYS_BACK = {
    RETRACTION: "is taken back",
    PROVENANCE: "stays: it says who sent what",
    ADDENDUM: "stays, and is replaced by one that says so",
    TAKING_BACK: "stays: it says what is taken back",
}


def listing(tx: Connection, chart: Chart) -> dict[str, Any]:
    """Return the records of a chart, what each EHR holds of them, what was sent, what waits."""
    records = history.chart(tx, chart)
    ids = [row.id for row in records]
    deliveries = deliveries_of(tx, ids)
    sent = [_sent(row) for row in tx.execute(_items(ids))]
    there = [_there(tx, row, chart, ids) for row in tx.execute(_lines(ids))]
    return {
        "patient": chart.patient,
        "subjects": sorted({f"Patient/{row.subject}" for row in records if row.subject}),
        "records": [_named(row, RECORD, RECORD_TOO) for row in records],
        "there": there,
        "sent": sent,
        "deliveries": [_delivery(tx, row) for row in deliveries],
        "drift": [dict(row) for row in tx.execute(_findings(ids)).mappings()],
        "links": [_named(row, LINK, LINK_TOO) for row in kept.of_lane(tx, chart.patient)],
        "counts": _counts(there, sent, deliveries),
    }


def deliveries_of(tx: Connection, records: Iterable[str]) -> list[Row[Any]]:
    """Return what was owed of these record versions, with all that carried something of them."""
    ids = list(records)
    carrying = (
        select(delivery_item.c.delivery_id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .where(resource.c.record_id.in_(ids))
    )
    chosen = select(delivery).where(or_(delivery.c.record_id.in_(ids), delivery.c.id.in_(carrying)))
    order = (delivery.c.destination, delivery.c.created_at, delivery.c.lane, delivery.c.sequence)
    return list(tx.execute(chosen.order_by(*order)))


def _items(ids: list[str]) -> Any:
    """Choose each resource version of these records that any delivery carries."""
    answer = evidence.alias()
    answered = (
        select(func.max(answer.c.at))
        .where(answer.c.delivery_id == delivery.c.id, answer.c.action == Action.DELIVERY_ANSWERED)
        .scalar_subquery()
    )
    started = (
        select(func.min(answer.c.at))
        .where(answer.c.delivery_id == delivery.c.id, answer.c.action == Action.DELIVERY_STARTED)
        .scalar_subquery()
    )
    return (
        select(
            delivery.c.destination,
            delivery.c.id.label("delivery"),
            delivery.c.state,
            delivery_item.c.type,
            delivery_item.c.resource_id,
            delivery_item.c.outcome,
            delivery_item.c.reason,
            resource.c.id.label("row"),
            resource.c.purpose,
            resource.c.mapping,
            resource.c.set_digest,
            resource.c.record_id,
            record.c.version.label("record_version"),
            started.label("sent_at"),
            answered.label("answered_at"),
        )
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(resource.c.record_id.in_(ids))
        .order_by(
            delivery.c.destination,
            delivery.c.created_at,
            delivery.c.lane,
            delivery.c.sequence,
            delivery_item.c.position,
        )
    )


def _sent(row: Row[Any]) -> dict[str, Any]:
    went = row.outcome in (*LANDED, Became.SENT, Became.REFUSED)
    return {
        "destination": row.destination,
        "resource": f"{row.type}/{row.resource_id}",
        "says": _says(row.purpose),
        "row": row.row,
        "record": row.record_id,
        "record_version": row.record_version,
        "mapping": row.mapping,
        "mapping_set": row.set_digest,
        "delivery": row.delivery,
        "state": row.state,
        "outcome": row.outcome or "waiting",
        "reason": row.reason,
        "sent_at": (row.sent_at or "") if went else "",
        "answered_at": (row.answered_at or "") if went else "",
    }


def _lines(ids: list[str]) -> Any:
    """Choose what each EHR is known to hold of what these records ever made."""
    made = resource.alias()
    ours = (
        select(made.c.id)
        .where(
            made.c.type == ledger.c.type,
            made.c.resource_id == ledger.c.resource_id,
            made.c.record_id.in_(ids),
        )
        .exists()
    )
    return (
        select(
            ledger,
            resource.c.purpose,
            resource.c.lane,
            resource.c.mapping,
            resource.c.set_digest,
            resource.c.record_id,
            record.c.version.label("record_version"),
        )
        .join(resource, resource.c.id == ledger.c.resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(ours)
        .order_by(ledger.c.destination, ledger.c.type, ledger.c.resource_id)
    )


def _there(tx: Connection, row: Row[Any], chart: Chart, ids: list[str]) -> dict[str, Any]:
    return {
        "destination": row.destination,
        "resource": f"{row.type}/{row.resource_id}",
        "ehr_id": row.ehr_id,
        "ehr_version": row.ehr_version,
        "says": _says(row.purpose),
        "record": row.record_id,
        "record_version": row.record_version,
        "mapping": row.mapping,
        "mapping_set": row.set_digest,
        "delivered_at": row.delivered_at,
        "read_back_at": row.read_back_at,
        "way_back": _way_back(tx, row, chart, ids),
    }


def _says(purpose: str) -> str:
    return purpose if purpose in (RETRACTION, PROVENANCE) else "content"


def _way_back(tx: Connection, row: Row[Any], chart: Chart, ids: list[str]) -> str:
    """Say how this would be taken back, or why it would not."""
    if row.lane == SHARED_LANE:
        return "stays: all patients share it"
    if row.lane != chart.patient:
        return "is in another patient's chart by now"
    if row.type == "Patient" and _is_theirs(tx, row):
        return "stays: it is the EHR's own patient"
    if row.purpose in WAYS_BACK:
        return WAYS_BACK[row.purpose]
    if tx.execute(_said_by_others(row, ids).limit(1)).first() is not None:
        return "stays as other sessions say it"
    return _who_takes_back(tx, row)


def _who_takes_back(tx: Connection, row: Row[Any]) -> str:
    known = registry.find(tx, row.destination)
    if known is None:
        return "a person's task: the destination was removed"
    if known.only_creates and row.type != NOTE_TYPE:
        return "a person's task: the EHR lets nobody change it"
    return "entered in error" if can_retract(row.type) else "a person's task: no status for it"


def _is_theirs(tx: Connection, row: Row[Any]) -> bool:
    known = registry.ever(tx, row.destination)
    return known is not None and kept.are_theirs(tx, known, row.lane)


def _said_by_others(row: Row[Any], ids: list[str]) -> Any:
    return (
        select(resource.c.id)
        .join(record, record.c.id == resource.c.record_id)
        .where(
            _is(resource, row),
            resource.c.record_id.not_in(ids),
            resource.c.purpose.not_in([RETRACTION, PROVENANCE]),
            resource.c.lane == row.lane,
            record.c.in_error.is_(False),
            record.c.retracted == "",
        )
    )


def _is(table: Any, row: Row[Any]) -> ColumnElement[bool]:
    return and_(table.c.type == row.type, table.c.resource_id == row.resource_id)


def _delivery(tx: Connection, row: Row[Any]) -> dict[str, Any]:
    """Return one delivery with each answer that the EHR gave."""
    answers = (
        select(evidence.c.at, evidence.c.outcome, evidence.c.detail, evidence.c.id)
        .where(
            evidence.c.delivery_id == row.id,
            evidence.c.action == Action.DELIVERY_ANSWERED,
        )
        .order_by(evidence.c.at, evidence.c.id)
    )
    said = [
        {"at": one.at, "answer": one.outcome, "evidence": one.id} for one in tx.execute(answers)
    ]
    lane = "shared" if row.lane == SHARED_LANE else "patient"
    return {**_named(row, DELIVERY, DELIVERY_TOO), "lane": lane, "answers": said}


def _findings(ids: list[str]) -> Any:
    """Choose what was found to differ in an EHR of what these records made."""
    shown = ("id", "destination", "type", "resource_id", "kind", "state", "choice", "found_at")
    return (
        select(*(drift.c[name] for name in shown))
        .where(drift.c.record_id.in_(ids))
        .order_by(drift.c.found_at, drift.c.id)
    )


def _counts(
    there: list[dict[str, Any]], sent: list[dict[str, Any]], deliveries: list[Row[Any]]
) -> dict[str, Any]:
    waiting = Counter(row.state for row in deliveries if row.state in (*OPEN, *STUCK))
    skipped = (Became.SUPERSEDED, Became.UNCHANGED, Became.THEIRS)
    return {
        "there": dict(sorted(Counter(one["says"] for one in there).items())),
        "way_back": dict(sorted(Counter(one["way_back"] for one in there).items())),
        "sent": dict(sorted(Counter(one["outcome"] for one in sent).items())),
        "waiting": dict(sorted(waiting.items())),
        "skipped": sum(one["outcome"] in skipped for one in sent),
    }


def _named(row: Row[Any], *names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(row, name) for some in names for name in some}
