"""Documents that say what a note has become, where an EHR lets nobody change the note itself.

Each is a resource of its own, made once, in the delivery that carries the changed note.
"""

import hashlib
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.fhir import codec
from fhirbridge.fhir.addendum import addendum, in_words
from fhirbridge.outbox import beside, claim
from fhirbridge.outbox.claim import Item
from fhirbridge.outbox.contents import (
    ADDENDA,
    ADDENDUM,
    CONTRIBUTIONS,
    RETRACTION,
    SHARED_LANE,
    TAKING_BACK,
    Contents,
    Identity,
    Owner,
)
from fhirbridge.outbox.states import LANDED, Became
from fhirbridge.store.tables import delivery, delivery_item, ledger, record, resource
from fhirbridge.translate.values import Scope, TranslatedResource

SUFFIX = 10  # letters: an id of ours with a dot and these has 64 at most


def is_of(made: Identity, note: Identity) -> bool:
    """Say whether this is an addendum to that note."""
    return made.type == note.type and made.id.startswith(f"{note.id}.")


def said_last(tx: Connection, destination: str, note: Identity) -> tuple[Identity, str] | None:
    """Return the newest addendum to a note that arrived, and the digest of the note it says."""
    made, of = delivery_item.alias(), delivery_item.alias()
    chosen = (
        select(made.c.resource_id, of.c.digest)
        .join(of, of.c.delivery_id == made.c.delivery_id)
        .join(delivery, delivery.c.id == made.c.delivery_id)
        .join(resource, resource.c.id == made.c.resource)
        .where(
            delivery.c.destination == destination,
            of.c.type == note.type,
            of.c.resource_id == note.id,
            made.c.type == note.type,
            made.c.resource_id.startswith(f"{note.id}."),
            made.c.outcome.in_(LANDED),
            resource.c.purpose.in_(ADDENDA),
        )
        .order_by(delivery.c.sequence.desc())
    )
    row = tx.execute(chosen.limit(1)).one_or_none()
    return None if row is None else (Identity(note.type, row.resource_id), row.digest)


def note_of(tx: Connection, record_id: str, overlay: str) -> Identity | None:
    """Return the readable note of a session, as its newest version that has one made it."""
    own, other = record.alias(), record.alias()
    chosen = (
        select(resource.c.resource_id)
        .join(other, other.c.id == resource.c.record_id)
        .join(own, own.c.session_key == other.c.session_key)
        .where(
            own.c.id == record_id,
            resource.c.type == NOTE_TYPE,
            resource.c.overlay == overlay,
            resource.c.purpose.in_(CONTRIBUTIONS),
        )
        .order_by(other.c.version.desc(), resource.c.sequence.desc())
    )
    found = tx.scalar(chosen.limit(1))
    return None if found is None else Identity(NOTE_TYPE, found)


def add(tx: Connection, kept: Contents, row: Row[Any]) -> None:
    """Put into a delivery what says its changed notes: for an EHR that changes nothing.

    Once: a delivery that is begun again has it already.
    """
    if row.lane == SHARED_LANE:
        return
    items = claim.items(tx, row.id)
    newer = beside.delivered_later(tx, row)
    for note in items:
        if note.identity.type != NOTE_TYPE or note.outcome != Became.WAITING:
            continue
        if note.identity in newer or any(is_of(one.identity, note.identity) for one in items):
            continue
        _add_one(tx, kept, row, note)


def _add_one(tx: Connection, kept: Contents, row: Row[Any], note: Item) -> None:
    there = _held_digest(tx, row, note.identity)
    about = _about(tx, note)
    takes_back = about.purpose == RETRACTION
    if there is None or (about.retracted and not takes_back):
        return
    last, said = said_last(tx, row.destination, note.identity) or (note.identity, there)
    if said == note.digest:
        return
    own = f"{note.identity.id}.{_suffix(row, note)}"
    make = in_words if takes_back else addendum
    body = make(kept.body(tx, note.resource), own=own, replaces=last.id)
    made = TranslatedResource(
        type=NOTE_TYPE,
        id=own,
        mapping="addendum",
        scope=Scope.VISIT,
        body=body,
        content_hash=codec.content_hash(body),
        as_of=about.as_of,
        row="",
        why=(),
    )
    owner = Owner(
        record_id=row.record_id,
        patient_key=row.lane,
        set_digest=row.set_digest,
        overlay=about.overlay,
    )
    purpose = TAKING_BACK if takes_back else ADDENDUM
    _pin(tx, row, own, kept.keep(tx, owner, made, purpose=purpose))


def _held_digest(tx: Connection, row: Row[Any], note: Identity) -> str | None:
    """Return which version of a note the EHR has in this patient's chart, or None."""
    chosen = (
        select(ledger.c.digest)
        .join(resource, resource.c.id == ledger.c.resource)
        .where(
            ledger.c.destination == row.destination,
            ledger.c.type == note.type,
            ledger.c.resource_id == note.id,
            resource.c.lane == row.lane,
        )
    )
    return tx.scalar(chosen)


def _about(tx: Connection, note: Item) -> Any:
    chosen = (
        select(resource.c.purpose, resource.c.overlay, resource.c.as_of, record.c.retracted)
        .join(record, record.c.id == resource.c.record_id)
        .where(resource.c.id == note.resource)
    )
    return tx.execute(chosen).one()


def _suffix(row: Row[Any], note: Item) -> str:
    """Name it by its place and what it says: after a return to a backup it is the same again."""
    return hashlib.sha256(f"{row.sequence}:{note.digest}".encode()).hexdigest()[:SUFFIX]


def _pin(tx: Connection, row: Row[Any], own: str, resource_row: str) -> None:
    last = select(func.max(delivery_item.c.position)).where(delivery_item.c.delivery_id == row.id)
    digest = tx.scalar(select(resource.c.digest).where(resource.c.id == resource_row))
    values = {
        "delivery_id": row.id,
        "position": tx.scalar(last) + 1,
        "type": NOTE_TYPE,
        "resource_id": own,
        "resource": resource_row,
        "digest": digest,
        "outcome": Became.WAITING,
        "reason": "",
        "link": "",
    }
    tx.execute(insert(delivery_item), values)
