"""What of ours an EHR has not, or has not as it is now: counted, listed, and closed by a person."""

from http import HTTPStatus
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, or_, select

from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.errors import BridgeError
from fhirbridge.outbox.contents import Identity
from fhirbridge.outbox.settle import Settlement
from fhirbridge.outbox.states import LANDED, NOT_AS_ITSELF, TASKS, Became
from fhirbridge.store.tables import delivery, delivery_item, ledger

# Written out in the statement, so that the index of exactly these is used.
_AMONG = delivery_item.c.outcome.in_(
    bindparam(
        "of_outcomes",
        [one.value for one in NOT_AS_ITSELF],
        expanding=True,
        literal_execute=True,
    )
)


SETTLED = (*LANDED, *NOT_AS_ITSELF, Became.UNCHANGED, Became.THEIRS, Became.BY_HAND)


class TaskError(BridgeError):
    """No open task of this name."""

    code = "E304"
    http_status = HTTPStatus.NOT_FOUND


def counts(tx: Connection, destination: str) -> dict[str, int]:
    """Count, by what became of it, the resources that a destination has not as they are now."""
    chosen = (
        select(delivery_item.c.outcome, func.count())
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .outerjoin(ledger, _is_line())
        .where(_AMONG, delivery.c.destination == destination, _is_newest(), _differs())
        .group_by(delivery_item.c.outcome)
    )
    found = {row[0]: row[1] for row in tx.execute(chosen)}
    return {one.value: found.get(one, 0) for one in NOT_AS_ITSELF}


def behind(tx: Connection, destination: str) -> dict[Identity, str]:
    """Return the version that a destination should have of what it has older; but of no note.

    Of a note, an addendum says what it became.
    """
    chosen = (
        select(delivery_item.c.type, delivery_item.c.resource_id, delivery_item.c.resource)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .join(ledger, _is_line())
        .where(_AMONG, delivery.c.destination == destination, _is_newest(), _differs())
        .where(delivery_item.c.type != NOTE_TYPE)
        .order_by(delivery.c.sequence, delivery_item.c.position)
    )
    return {Identity(row.type, row.resource_id): row.resource for row in tx.execute(chosen)}


def tasks(tx: Connection, destination: str = "") -> list[dict[str, Any]]:
    """List what a person must put right, or take back, in an EHR; opaque ids only."""
    chosen = (
        select(delivery_item, delivery.c.destination, delivery.c.lane, delivery.c.record_id)
        .add_columns(ledger.c.ehr_id, delivery.c.changed_at)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .join(ledger, _is_line())
        .where(_AMONG, delivery_item.c.outcome.in_(TASKS), _is_newest(), _differs())
        .order_by(delivery.c.destination, delivery.c.created_at, delivery_item.c.position)
    )
    if destination:
        chosen = chosen.where(delivery.c.destination == destination)
    return [_task(row) for row in tx.execute(chosen)]


def _task(row: Row[Any]) -> dict[str, Any]:
    return {
        "task": f"{row.delivery_id}/{row.position}",
        "destination": row.destination,
        "patient": row.lane,
        "record": row.record_id,
        "what": row.outcome,
        "resource": f"{row.type}/{row.resource_id}",
        "in_the_ehr": f"{row.type}/{row.ehr_id}",
        "reason": row.reason,
        "since": row.changed_at,
    }


def close(tx: Connection, settlement: Settlement, named: str) -> list[dict[str, Any]]:
    """Note that a person did in the EHR what a task asks for, or all tasks of a delivery.

    Return them. Raises TaskError.
    """
    found = [one for one in tasks(tx) if named in (one["task"], one["task"].partition("/")[0])]
    if not found:
        raise TaskError("there is no open task of this name", hint="fhirbridge sync tasks")
    for one in found:
        delivery_id, _, position = one["task"].partition("/")
        settlement.note_item(tx, delivery_id, int(position), Became.BY_HAND, reason=one["what"])
    return found


def _is_line() -> ColumnElement[bool]:
    return (
        (ledger.c.destination == delivery.c.destination)
        & (ledger.c.type == delivery_item.c.type)
        & (ledger.c.resource_id == delivery_item.c.resource_id)
    )


def _differs() -> ColumnElement[bool]:
    return or_(ledger.c.digest.is_(None), ledger.c.digest != delivery_item.c.digest)


def _is_newest() -> ColumnElement[bool]:
    """Say whether no later delivery of the lane settled the same resource.

    A repair brings back what the EHR had before, so that it settles nothing but that.
    """
    later, item = delivery.alias(), delivery_item.alias()
    return ~(
        select(item.c.delivery_id)
        .join(later, later.c.id == item.c.delivery_id)
        .where(
            later.c.destination == delivery.c.destination,
            later.c.lane == delivery.c.lane,
            later.c.sequence > delivery.c.sequence,
            or_(later.c.repairs.is_(False), item.c.digest == delivery_item.c.digest),
            item.c.outcome.in_(SETTLED),
            item.c.type == delivery_item.c.type,
            item.c.resource_id == delivery_item.c.resource_id,
        )
        .exists()
    )
