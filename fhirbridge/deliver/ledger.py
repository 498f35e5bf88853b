"""What each destination is known to hold of ours, under which version of its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, or_, select, update

from fhirbridge.deliver.bundle import Known, Send
from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir.names import OURS, Names
from fhirbridge.fhir.pointing import Named
from fhirbridge.matching import kept
from fhirbridge.matching.theirs import kept as kept_theirs
from fhirbridge.outbox.contents import Identity
from fhirbridge.store.tables import delivery_item, ledger, resource
from fhirbridge.store.upsert import insert

NO_NUMBERS: Mapping[Named, str] = {}
_KEY = ["destination", "type", "resource_id"]
# Built once: it is asked for each delivery.
_CARRIED = (
    select(ledger)
    .join(
        delivery_item,
        (delivery_item.c.type == ledger.c.type)
        & (delivery_item.c.resource_id == ledger.c.resource_id),
    )
    .where(
        delivery_item.c.delivery_id == bindparam("of_delivery"),
        ledger.c.destination == bindparam("of_ehr"),
    )
)
_NEW = insert(ledger)
# Built once: it is said of each resource that lands.
_SAVED = _NEW.on_conflict_do_update(
    index_elements=_KEY,
    set_={column.name: column for column in _NEW.excluded if column.name not in _KEY},
)


def find(tx: Connection, destination: str, identity: Identity) -> Row[Any] | None:
    """Return the ledger's line for one resource, or None where the EHR is not known to have it."""
    chosen = select(ledger).where(
        ledger.c.destination == destination,
        ledger.c.type == identity.type,
        ledger.c.resource_id == identity.id,
    )
    return tx.execute(chosen).one_or_none()


def hand_on(tx: Connection, heirs: Mapping[str, Row[Any]]) -> None:
    """Let lines name the same content in another record: `heirs` by the row that goes."""
    for row_id, one in heirs.items():
        tx.execute(update(ledger).where(ledger.c.resource == row_id).values(resource=one.id))


def of_identities(
    tx: Connection, destination: str, identities: Sequence[Identity]
) -> dict[Identity, Row[Any]]:
    """Return the lines of several resources."""
    # Not by pairs: SQLite would read all lines of the destination for that.
    chosen = select(ledger).where(
        ledger.c.destination == destination,
        ledger.c.type.in_({one.type for one in identities}),
        ledger.c.resource_id.in_({one.id for one in identities}),
    )
    found = {Identity(row.type, row.resource_id): row for row in tx.execute(chosen)}
    return {one: found[one] for one in identities if one in found}


def of_delivery(tx: Connection, row: Row[Any]) -> dict[Identity, Row[Any]]:
    """Return the lines of all that a delivery carries."""
    found = tx.execute(_CARRIED, {"of_delivery": row.id, "of_ehr": row.destination})
    return {Identity(line.type, line.resource_id): line for line in found}


def names(
    tx: Connection,
    where: Destination,
    identities: Collection[Identity],
    *,
    numbers: Mapping[Named, str] = NO_NUMBERS,
    decided: int | None = None,
) -> Names:
    """Return under which ids an EHR has these resources, the patients and what else it has itself.

    `numbers`: the EHR's own, with their keyed names. `decided`: as of that decision; None: as of
    the last one.
    """
    patients = [one for one in identities if one.type == "Patient"]
    assigned = where.gives_ids
    wanted = list(identities) if assigned else patients
    lines = of_identities(tx, where.name, wanted) if wanted else {}
    ids: dict[Named, str] = {identity: line.ehr_id for identity, line in lines.items()}
    own = kept.linked(tx, where.name, [one.id for one in patients]) if patients else {}
    theirs: dict[Named, str] = {one: ids[one] for one in patients if one in ids and one.id in own}
    former: dict[Named, str] = {
        ("Patient", past): now for (_, one), now in theirs.items() for past in own[one] - {now}
    }
    once = frozenset(where.types) - where.theirs.keys()
    more, until = kept_theirs.pointing(tx, where, identities, numbers, decided)
    if not (assigned or theirs or once or more.types):
        return OURS
    return Names(ids if assigned else None, theirs, former, once, more, until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What an EHR has of one resource: `held`, carried by the delivery of that place in its lane.

    It said so, or (`read_back`) we saw it.
    """

    identity: Identity
    held: Known | Send
    ehr_id: str  # under which id: ours, or one that it gave
    version: str
    sequence: int
    read_back: bool
    decided: int = 0  # up to which decision about the EHR's own it was written


def save(tx: Connection, destination: str, holdings: Sequence[Holding], *, at: str) -> None:
    """Note what the EHR has."""
    lines = [
        {
            "destination": destination,
            "type": one.identity.type,
            "resource_id": one.identity.id,
            "ehr_id": one.ehr_id,
            "ehr_version": one.version,
            "digest": one.held.digest,
            "resource": one.held.resource,
            "sequence": one.sequence,
            "delivered_at": at,
            "read_back_at": at if one.read_back else "",
            "decided": one.decided,
        }
        for one in holdings
    ]
    if lines:
        tx.execute(_SAVED, lines)


def note_theirs(
    tx: Connection,
    *,
    destination: str,
    identity: Identity,
    ehr_id: str,
    compared: Row[Any],
    at: str,
) -> None:
    """Note that the EHR has its own of this under `ehr_id`: ours points to it, and never writes it.

    `compared`: the version of ours that was found to be the same.
    """
    values = {
        "destination": destination,
        "type": identity.type,
        "resource_id": identity.id,
        "ehr_id": ehr_id,
        "ehr_version": "",
        "digest": compared.digest,
        "resource": compared.id,
        "sequence": 0,
        "delivered_at": at,
        "read_back_at": at,
        "decided": 0,
    }
    tx.execute(_SAVED, values)


def forget_content(tx: Connection, records: Collection[str]) -> None:
    """Know no more what is held of these records, so that the same goes again when it is said anew.

    Under which id and version it is there stays known: that guards it.
    """
    rows = select(resource.c.id).where(resource.c.record_id.in_(records))
    tx.execute(update(ledger).where(ledger.c.resource.in_(rows)).values(digest=""))


def is_ours() -> ColumnElement[bool]:
    """Return the condition that a line is of something that we wrote: no Patient of the EHR's own.

    Of those no version is known, since ours is never written there.
    """
    return or_(ledger.c.type != "Patient", ledger.c.ehr_version != "")


def made_patients(tx: Connection, destination: str) -> int:
    """Count the patients that we made there, of whom nobody decided that it be so."""
    chosen = select(func.count()).where(
        ledger.c.destination == destination,
        ledger.c.type == "Patient",
        ledger.c.resource_id.not_in(kept.decided(destination)),
    )
    return tx.scalar(chosen) or 0


def disown(
    tx: Connection,
    *,
    destination: str,
    identity: Identity,
    ehr_id: str,
    resource: str,
    version: str,
    at: str,
) -> None:
    """Note that the EHR has something else as its `version`, which ours may replace.

    `resource` is what it would have had; the next delivery of it is guarded by `version`.
    """
    seen = {"ehr_version": version, "digest": "", "read_back_at": at}
    line = insert(ledger).values(
        destination=destination,
        type=identity.type,
        resource_id=identity.id,
        ehr_id=ehr_id,
        resource=resource,
        sequence=0,
        delivered_at=at,
        **seen,
    )
    tx.execute(line.on_conflict_do_update(index_elements=_KEY, set_=seen))


def forget(tx: Connection, destination: str, identity: Identity) -> None:
    """Note that the EHR has nothing of it, and no trace of its ever having had it."""
    gone = delete(ledger).where(
        ledger.c.destination == destination,
        ledger.c.type == identity.type,
        ledger.c.resource_id == identity.id,
    )
    tx.execute(gone)


def kinds(tx: Connection, destination: str) -> list[str]:
    """Return the types that a destination has of ours, sorted."""
    chosen = select(ledger.c.type).where(ledger.c.destination == destination).distinct()
    return sorted(tx.scalars(chosen))
