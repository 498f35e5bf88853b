"""What each destination is known to hold of ours: its id, its version, and which version of ours that is."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects.sqlite import insert

from fhirbridge.deliver.bundle import Send
from fhirbridge.outbox.contents import Identity
from fhirbridge.store.tables import ledger


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
    found = {identity: find(tx, destination, identity) for identity in identities}
    return {identity: row for identity, row in found.items() if row is not None}


def save(
    tx: Connection,
    *,
    destination: str,
    send: Send,
    version: str,
    sequence: int,
    at: str,
    read_back: bool,
) -> None:
    """Note that the EHR holds `send` as its `version`, because it said so or because we read it there."""
    values = {
        "destination": destination,
        "type": send.identity.type,
        "resource_id": send.identity.id,
        "ehr_id": send.identity.id,
        "ehr_version": version,
        "digest": send.digest,
        "resource": send.resource,
        "sequence": sequence,
        "delivered_at": at,
        "read_back_at": at if read_back else "",
    }
    line = insert(ledger).values(**values)
    tx.execute(
        line.on_conflict_do_update(
            index_elements=["destination", "type", "resource_id"], set_=values
        )
    )


def rebase(tx: Connection, line: Row[Any], *, version: str, at: str) -> None:
    """Note that the EHR counts our unchanged content under another version than we knew."""
    tx.execute(
        update(ledger)
        .where(
            ledger.c.destination == line.destination,
            ledger.c.type == line.type,
            ledger.c.resource_id == line.resource_id,
        )
        .values(ehr_version=version, read_back_at=at)
    )
