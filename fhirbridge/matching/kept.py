"""What was decided of who is who, as it is stored. Reads, but for the end of what counts."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from fhirbridge.destinations.registry import Destination, Policy
from fhirbridge.matching.decide import How
from fhirbridge.matching.merges import MOST_HOPS
from fhirbridge.outbox import contents
from fhirbridge.outbox.contents import WITHDRAWN, Identity
from fhirbridge.records.history import UnknownChartError
from fhirbridge.store.patient_tables import patient_link
from fhirbridge.store.tables import delivery, delivery_item, ledger, resource

ACTOR = "worker"
# Built once: it is asked several times for each delivery.
_CURRENT = select(patient_link).where(
    patient_link.c.destination == bindparam("of_ehr"),
    patient_link.c.lane == bindparam("of_lane"),
    patient_link.c.ended_at == "",
)


class State(StrEnum):
    """What was decided of one patient at one destination."""

    LINKED = "linked"  # the EHR's own Patient is this one
    MADE = "made"  # a person said that the EHR has none: ours is made
    HELD = "held"  # a person must say
    REJECTED = "rejected"  # a person said who it is not; never the one that counts


def reference(ehr_id: str) -> str:
    """Write the EHR's id of a patient as a reference."""
    return f"Patient/{ehr_id}"


def current(tx: Connection, destination: str, lane: str) -> Row[Any] | None:
    """Return what counts of one patient at one destination, or None where nothing was decided."""
    return tx.execute(_CURRENT, {"of_ehr": destination, "of_lane": lane}).one_or_none()


def of_id(tx: Connection, link_id: str) -> Row[Any]:
    """Return one decision by its id."""
    return tx.execute(select(patient_link).where(patient_link.c.id == link_id)).one()


def are_theirs(tx: Connection, destination: Destination, lane: str) -> bool:
    """Say whether the Patient of this lane is the EHR's own, so that none of ours is sent."""
    link = current(tx, destination.name, lane)
    if link is None:
        return destination.patients.policy is Policy.MATCH
    return bool(link.state != State.MADE)


def our_patient(
    tx: Connection, destination: Destination, lane: str, subject: str
) -> Row[Any] | None:
    """Return the Patient that counts; where no record says one any more, the one owed last.

    What brought that may have been closed: then it is the one that was compared last.
    """
    identity = Identity("Patient", subject)
    row = contents.winner(tx, identity, destination.overlay, lane)
    if row is not None and row.purpose != WITHDRAWN:
        return row
    owed = contents.last_pinned(tx, destination.name, identity, lane)
    if owed is not None:
        return owed
    link = current(tx, destination.name, lane)
    return compared(tx, link) if link is not None and link.compared else None


def named_there(tx: Connection, ehr_id: str) -> str:
    """Return our name of the patient whom an EHR calls so, or "" where none does, or it is ours.

    Raises UnknownChartError where several do: each EHR gives ids of its own.
    """
    own = ehr_id.removeprefix("Patient/")
    linked = select(patient_link.c.lane).where(
        patient_link.c.ehr_id == own, patient_link.c.state == State.LINKED
    )
    made = (
        select(resource.c.lane)
        .join(ledger, ledger.c.resource == resource.c.id)
        .where(ledger.c.type == "Patient", ledger.c.ehr_id == own, ledger.c.resource_id != own)
    )
    lanes = set(tx.scalars(linked)) | set(tx.scalars(made)) if own else set()
    if len(lanes) > 1:
        raise UnknownChartError(
            "several patients of ours are, or were, in a chart of that id",
            hint="name ours: fhirbridge patient list --all, or the --record",
        )
    return lanes.pop() if lanes else ""


def link_of(tx: Connection, destination: str, lane: str, identity: Identity) -> str:
    """Return by which link the EHR got what it holds of a resource now, or ""."""
    chosen = (
        select(delivery_item.c.link)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .join(
            ledger,
            (ledger.c.destination == delivery.c.destination)
            & (ledger.c.sequence == delivery.c.sequence)
            & (ledger.c.type == delivery_item.c.type)
            & (ledger.c.resource_id == delivery_item.c.resource_id),
        )
        .where(
            delivery.c.destination == destination,
            delivery.c.lane == lane,
            delivery_item.c.type == identity.type,
            delivery_item.c.resource_id == identity.id,
        )
    )
    return tx.scalar(chosen.limit(1)) or ""


def of_lane(tx: Connection, lane: str) -> list[Row[Any]]:
    """Return every decision about one patient of ours, at any destination, in order."""
    chosen = select(patient_link).where(patient_link.c.lane == lane)
    return list(tx.execute(chosen.order_by(patient_link.c.destination, patient_link.c.sequence)))


def standing(tx: Connection, destination: str) -> list[Row[Any]]:
    """Return, of every patient who is or was linked there, what counts."""
    chosen = select(patient_link).where(
        patient_link.c.destination == destination,
        patient_link.c.ended_at == "",
        (patient_link.c.state == State.LINKED) | (patient_link.c.follows != ""),
    )
    return list(tx.execute(chosen.order_by(patient_link.c.sequence)))


def waiting(tx: Connection, destination: str) -> int:
    """Count who waits for a person there."""
    chosen = select(func.count()).where(
        patient_link.c.destination == destination,
        patient_link.c.ended_at == "",
        patient_link.c.state == State.HELD,
    )
    return tx.scalar(chosen) or 0


def compared(tx: Connection, link: Row[Any]) -> Row[Any]:
    """Return the version of our Patient of which a link was made."""
    chosen = (
        select(resource)
        .where(resource.c.type == "Patient", resource.c.resource_id == link.subject)
        .where(resource.c.digest == link.compared)
        .order_by(resource.c.sequence.desc())
        .limit(1)
    )
    return tx.execute(chosen).one()


def decided(destination: str) -> Select[Any]:
    """Choose our ids of those patients at a destination of whom something was decided."""
    return select(patient_link.c.subject).where(
        patient_link.c.destination == destination, patient_link.c.ended_at == ""
    )


def of_theirs(destination: str) -> Select[Any]:
    """Choose our ids of those who are the EHR's own patients."""
    return decided(destination).where(patient_link.c.state != State.MADE)


def linked(tx: Connection, destination: str, subjects: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return, by our id, under which ids the EHR has, or had, a patient of its own."""
    theirs = of_theirs(destination).where(patient_link.c.subject.in_(subjects))
    chosen = select(patient_link.c.subject, patient_link.c.ehr_id).where(
        patient_link.c.destination == destination,
        patient_link.c.subject.in_(theirs),
        patient_link.c.state == State.LINKED,
    )
    found: dict[str, set[str]] = {}
    for row in tx.execute(chosen):
        found.setdefault(row.subject, set()).add(row.ehr_id)
    return {subject: frozenset(ids) for subject, ids in found.items()}


def rejections(tx: Connection, destination: str, lane: str) -> frozenset[str]:
    """Return whom a person said this patient is not, and did not say it is, later."""
    chosen = (
        select(patient_link.c.ehr_id, patient_link.c.state)
        .where(patient_link.c.destination == destination, patient_link.c.lane == lane)
        .where(patient_link.c.ehr_id != "", patient_link.c.actor != ACTOR)
        .order_by(patient_link.c.sequence)
    )
    last: dict[str, str] = {row.ehr_id: row.state for row in tx.execute(chosen)}
    return frozenset(reference(one) for one, state in last.items() if state == State.REJECTED)


def taken(tx: Connection, destination: str, lane: str, wanted: str) -> bool:
    """Say whether another patient of ours is linked to this one."""
    chosen = select(patient_link.c.id).where(
        patient_link.c.destination == destination,
        patient_link.c.ehr_id == wanted.partition("/")[2],
        patient_link.c.lane != lane,
        patient_link.c.state == State.LINKED,
        patient_link.c.ended_at == "",
    )
    return bool(wanted) and tx.execute(chosen.limit(1)).first() is not None


def before(tx: Connection, link: Row[Any]) -> tuple[str, ...]:
    """Return, newest first, whom the EHR made part of the linked patient."""
    found: list[str] = []
    while link.how == How.MERGE and link.follows and len(found) < MOST_HOPS:
        link = of_id(tx, link.follows)
        found.append(reference(link.ehr_id))
    return tuple(dict.fromkeys(found))


def forget(tx: Connection, records: Collection[str], *, at: str) -> None:
    """End the decisions that these records seal, and erase what was compared for them."""
    sealed_by = patient_link.c.record_id.in_(records)
    tx.execute(
        update(patient_link).where(sealed_by, patient_link.c.ended_at == "").values(ended_at=at)
    )
    tx.execute(update(patient_link).where(sealed_by).values(sealed=b""))


def end(tx: Connection, destination: str, lane: str, *, at: str) -> None:
    """Let what counts of a patient count no more."""
    now = update(patient_link).where(
        patient_link.c.destination == destination,
        patient_link.c.lane == lane,
        patient_link.c.ended_at == "",
    )
    tx.execute(now.values(ended_at=at))
