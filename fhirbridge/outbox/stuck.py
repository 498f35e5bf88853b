"""Held and parked deliveries: find them, and put them back in line."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, or_, select

from fhirbridge.outbox import selection
from fhirbridge.outbox.beside import went_unheard
from fhirbridge.outbox.selection import Selection, of_deliveries
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import CANCELLED, REFUSED, RETRACTED, State
from fhirbridge.store.tables import delivery, record

CONSENT = "consent"
TRANSLATION = "translation"


def release_consent(tx: Connection, settlement: Settlement, patient_key: str) -> int:
    """Put back what waited for this patient's consent; it is asked again before anything goes."""
    chosen = (
        select(delivery.c.id)
        .join(record, record.c.id == delivery.c.record_id)
        .where(
            record.c.patient_key == patient_key,
            delivery.c.state == State.HELD,
            delivery.c.reason.startswith(f"{CONSENT}:"),
        )
    )
    return put_back(tx, settlement, list(tx.scalars(chosen)), actor="intake")


def supersede(
    tx: Connection,
    settlement: Settlement,
    record_id: str,
    *,
    reason: str,
    actor: str,
    only: Sequence[str] | None = None,
) -> None:
    """Close deliveries of a version that was held for this reason and that something replaces.

    `only` names the destinations that are meant, where it is not all of them.
    """
    chosen = select(delivery.c.id).where(
        delivery.c.record_id == record_id,
        delivery.c.state == State.HELD,
        delivery.c.reason == reason,
    )
    if only is not None:
        chosen = chosen.where(delivery.c.destination.in_(only))
    for delivery_id in tx.scalars(chosen).all():
        settlement.move(tx, delivery_id, Move(to=State.SUPERSEDED, reason=reason), actor=actor)


def waits_for_mappings(row: Row[Any]) -> bool:
    """Say whether a delivery waits for other mappings than there were."""
    return bool(row.state == State.HELD and row.reason == TRANSLATION)


def waiting_for_other_mappings(tx: Connection, set_digest: str) -> dict[str, list[str]]:
    """Return record -> destinations held because another set than this could not translate it."""
    chosen = select(delivery.c.record_id, delivery.c.destination).where(
        delivery.c.state == State.HELD,
        delivery.c.reason == TRANSLATION,
        delivery.c.set_digest != set_digest,
    )
    found: dict[str, list[str]] = {}
    for row in tx.execute(chosen.order_by(delivery.c.destination)):
        found.setdefault(row.record_id, []).append(row.destination)
    return found


def replace_set_aside(
    tx: Connection,
    settlement: Settlement,
    *,
    destination: str,
    session_key: str,
    patient_key: str,
    actor: str,
) -> bool:
    """Close what was refused or cancelled of a session's earlier versions; say if there was any.

    Of those in this patient's chart: taking them back from another one stays owed. One of which
    something may be there unheard is not closed: `retry` looks at it first.

    A corrected version brings all of it that is not there yet. Without this it would wait for ever
    behind the version that it corrects.
    """
    chosen = (
        select(delivery.c.id)
        .join(record, record.c.id == delivery.c.record_id)
        .where(
            delivery.c.destination == destination,
            record.c.session_key == session_key,
            record.c.patient_key == patient_key,
            delivery.c.state == State.PARKED,
            delivery.c.repairs.is_(False),  # it brings back what other sessions lost, too
            or_(delivery.c.reason.startswith(REFUSED), delivery.c.reason.startswith(CANCELLED)),
            ~went_unheard(),
        )
        .order_by(delivery.c.sequence)
    )
    aside = list(tx.scalars(chosen))
    for delivery_id in aside:
        reason = "replaced by what was made of its record later"
        settlement.move(tx, delivery_id, Move(to=State.SUPERSEDED, reason=reason), actor=actor)
    return bool(aside)


def find(tx: Connection, chosen: Selection, states: Collection[State]) -> Sequence[Row[Any]]:
    """Return the stuck deliveries that are meant, in the order of their lanes.

    What could not be translated is not among them: a mended mapping set releases it. Nor is what
    was taken back from a chart: only lifting that lets it go.
    """
    selection.check(tx, chosen)
    found = (
        select(delivery)
        .where(
            delivery.c.state.in_(states),
            delivery.c.reason.not_in([TRANSLATION, RETRACTED]),
            *of_deliveries(chosen),
        )
        .order_by(delivery.c.destination, delivery.c.lane, delivery.c.sequence)
    )
    return tx.execute(found).all()


def put_back(tx: Connection, settlement: Settlement, ids: Collection[str], *, actor: str) -> int:
    """Put stuck deliveries back in line, each at its place; return how many."""
    again = Move(to=State.PENDING, reason="", counts={"runs": 0, "attempts": 0, "server_errors": 0})
    for delivery_id in ids:
        settlement.move(tx, delivery_id, again, actor=actor)
    return len(ids)
