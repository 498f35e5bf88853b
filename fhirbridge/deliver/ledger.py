"""What each destination is known to hold of ours, under which version of its own."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, select, tuple_

from fhirbridge.deliver.bundle import Known, Send
from fhirbridge.outbox.contents import Identity
from fhirbridge.store.tables import ledger
from fhirbridge.store.upsert import insert

_KEY = ["destination", "type", "resource_id"]
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


def of_identities(
    tx: Connection, destination: str, identities: Sequence[Identity]
) -> dict[Identity, Row[Any]]:
    """Return the lines of several resources."""
    chosen = select(ledger).where(
        ledger.c.destination == destination,
        tuple_(ledger.c.type, ledger.c.resource_id).in_(identities),
    )
    return {Identity(row.type, row.resource_id): row for row in tx.execute(chosen)}


def save(
    tx: Connection,
    *,
    destination: str,
    identity: Identity,
    held: Known | Send,
    version: str,
    sequence: int,
    at: str,
    read_back: bool,
) -> None:
    """Note that the EHR has `held` as its `version`: it said so, or (`read_back`) we saw it."""
    values = {
        "destination": destination,
        "type": identity.type,
        "resource_id": identity.id,
        "ehr_id": identity.id,
        "ehr_version": version,
        "digest": held.digest,
        "resource": held.resource,
        "sequence": sequence,
        "delivered_at": at,
        "read_back_at": at if read_back else "",
    }
    tx.execute(_SAVED, values)


def disown(
    tx: Connection,
    *,
    destination: str,
    identity: Identity,
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
        ehr_id=identity.id,
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
