"""Whose time is over: charts of which nothing changed for as long as they must be kept."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from fhirbridge.outbox import erasing
from fhirbridge.retention import holds
from fhirbridge.store.drift_tables import drift
from fhirbridge.store.tables import record


class Standing(StrEnum):
    """What is to become of a chart whose time is over."""

    DUE = "due"
    HELD = "held"  # a legal hold
    UNSETTLED = "unsettled"  # something of it is not through, or a person must look at it
    NEEDED = "needed"  # a record that is kept builds on a resource of it that all share


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """All that is kept of one patient, or of a session that names none."""

    patient: str  # opaque; "" for a session that names nobody
    session: str  # "" where a patient is named
    oldest: str  # when its first version was received


def expired(tx: Connection, until: str) -> list[Expired]:
    """Return the charts of which no version was received after `until`, the oldest first."""
    found: dict[tuple[str, str], str] = {}
    for row in tx.execute(_old(until)):
        key = (row.patient_key, "" if row.patient_key else row.session_key)
        found.setdefault(key, row.received_at)
    return [
        Expired(patient=patient, session=session, oldest=oldest)
        for (patient, session), oldest in found.items()
    ]


def versions(tx: Connection, chart: Expired) -> list[Row[Any]]:
    """Return every version of a chart that is kept."""
    chosen = select(record).where(record.c.patient_key == chart.patient, record.c.purged_at == "")
    if chart.session:
        chosen = chosen.where(record.c.session_key == chart.session)
    return list(tx.execute(chosen.order_by(record.c.received_at, record.c.version, record.c.id)))


def standing(tx: Connection, chart: Expired, until: str) -> Standing | None:
    """Say what is to become of a chart now; None where its time is not over (any more)."""
    rows = versions(tx, chart)
    if not rows or any(row.received_at > until for row in rows):
        return None
    ids = [row.id for row in rows]
    if holds.is_held(tx, chart.patient, {row.session_key for row in rows}):
        return Standing.HELD
    looked_at = select(drift.c.id).where(drift.c.record_id.in_(ids), drift.c.state == "open")
    if (
        erasing.is_unsettled(tx, ids, since=until)
        or tx.execute(looked_at.limit(1)).first() is not None
    ):
        return Standing.UNSETTLED
    is_needed = any(
        erasing.heir(tx, one, ids) is None and erasing.is_said_by_others(tx, one, ids)
        for one in erasing.in_force(tx, erasing.shared(tx, ids))
    )
    return Standing.NEEDED if is_needed else Standing.DUE


def _old(until: str) -> Select[Any]:
    newer = record.alias()
    goes_on = (
        select(newer.c.id)
        .where(
            newer.c.patient_key == record.c.patient_key,
            newer.c.patient_key != "",
            newer.c.received_at > until,
        )
        .exists()
    )
    return (
        select(record.c.patient_key, record.c.session_key, record.c.received_at)
        .where(record.c.received_at <= until, record.c.purged_at == "", ~goes_on)
        .order_by(record.c.received_at, record.c.id)
    )
