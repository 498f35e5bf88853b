"""Held and parked deliveries: find them, and put them back in line."""

from sqlalchemy import Connection, select

from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import STUCK, State
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
    return _release(tx, settlement, list(tx.scalars(chosen)), actor="intake")


def retry(tx: Connection, settlement: Settlement, *, delivery_id: str | None, actor: str) -> int:
    """Put one stuck delivery back in line, or every parked one; return how many.

    What could not be translated is not among them: a mended mapping set releases it.
    """
    chosen = (
        select(delivery.c.id).where(delivery.c.reason != TRANSLATION).order_by(delivery.c.sequence)
    )
    if delivery_id is None:
        chosen = chosen.where(delivery.c.state == State.PARKED)
    else:
        chosen = chosen.where(delivery.c.id == delivery_id, delivery.c.state.in_(STUCK))
    return _release(tx, settlement, list(tx.scalars(chosen)), actor=actor)


def _release(tx: Connection, settlement: Settlement, ids: list[str], *, actor: str) -> int:
    again = Move(to=State.PENDING, reason="", counts={"runs": 0, "attempts": 0, "server_errors": 0})
    for delivery_id in ids:
        settlement.move(tx, delivery_id, again, actor=actor)
    return len(ids)
