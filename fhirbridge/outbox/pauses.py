"""What an operator has stopped: a destination, a patient, or a patient at one destination."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, bindparam, delete, or_, select

from fhirbridge.errors import BridgeError
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, pause, record
from fhirbridge.store.upsert import insert

ANY = ""
# Built once: it is asked before each request.
_PUT = (
    select(pause.c.at)
    .where(
        pause.c.destination.in_((bindparam("there"), ANY)),
        pause.c.lane.in_((bindparam("whose"), ANY)),
    )
    .limit(1)
)


class UnknownPatientError(BridgeError):
    """No record names the patient that an operator named."""

    code = "E303"


class Stopped(NamedTuple):
    """What is stopped; ANY destination, or any patient of it."""

    destination: str
    patient: str


def put(tx: Connection, what: Stopped, *, at: datetime, actor: str) -> bool:
    """Stop it; False where it was stopped already. Raises UnknownPatientError."""
    _check_patient(tx, what.patient)
    return hold(tx, what, at=at, actor=actor)


def hold(tx: Connection, what: Stopped, *, at: datetime, actor: str) -> bool:
    """Stop it, also a patient of whom no record has come yet."""
    row = insert(pause).values(
        destination=what.destination, lane=what.patient, at=moment.to_text(at), actor=actor
    )
    return bool(tx.execute(row.on_conflict_do_nothing()).rowcount)


def lift(tx: Connection, what: Stopped) -> bool:
    """Let it go on; False where it was not stopped. Raises UnknownPatientError."""
    gone = delete(pause).where(
        pause.c.destination == what.destination, pause.c.lane == what.patient
    )
    if tx.execute(gone).rowcount:
        return True
    _check_patient(tx, what.patient)
    return False


def forget(tx: Connection, destination: str) -> None:
    """Take back every pause of a destination that is removed."""
    tx.execute(delete(pause).where(pause.c.destination == destination))


def every(tx: Connection) -> list[dict[str, Any]]:
    """Return what is stopped, since when and by whom."""
    chosen = select(
        pause.c.destination, pause.c.lane.label("patient"), pause.c.at, pause.c.actor
    ).order_by(pause.c.destination, pause.c.lane)
    return [dict(row) for row in tx.execute(chosen).mappings()]


def is_put(tx: Connection, destination: str, lane: str) -> bool:
    """Say whether an operator has stopped this lane."""
    return tx.execute(_PUT, {"there": destination, "whose": lane}).first() is not None


def stops_delivery() -> ColumnElement[bool]:
    """Return the condition that an operator has stopped the lane of a delivery."""
    return (
        select(pause.c.at)
        .where(
            or_(pause.c.destination == delivery.c.destination, pause.c.destination == ANY),
            or_(pause.c.lane == delivery.c.lane, pause.c.lane == ANY),
        )
        .exists()
    )


def _check_patient(tx: Connection, patient: str) -> None:
    if patient == ANY:
        return
    known = select(record.c.id).where(record.c.patient_key == patient).limit(1)
    if patient == SHARED_LANE or tx.execute(known).first() is None:
        raise UnknownPatientError(
            "no record is of this patient", hint="fhirbridge sync status shows the patients' ids"
        )
