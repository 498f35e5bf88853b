"""Carry out a choice. Nothing goes to the EHR from here: the outbox owes it, or a hold ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, or_, select

from fhirbridge.audit.log import EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import ledger
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr.rest import Ehr
from fhirbridge.matching.links import Links
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox.contents import CONTENT, PROVENANCE, RETRACTION, Contents, Identity, Owner
from fhirbridge.outbox.enqueue import Outbox
from fhirbridge.outbox.settle import Move, Settlement
from fhirbridge.outbox.states import EDITED, GONE, MERGED, Became, State
from fhirbridge.reconcile import lines
from fhirbridge.reconcile.compare import LOST, Kind
from fhirbridge.reconcile.findings import DriftError, Found
from fhirbridge.reconcile.lines import Line
from fhirbridge.rng import Rng
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import delivery, delivery_item


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What reconciling works with."""

    store: Store
    clock: Clock
    rng: Rng
    vault: Vault
    contents: Contents
    outbox: Outbox
    settlement: Settlement
    audit: EvidenceLog
    links: Links
    theirs: TheirLinks
    ehr_for: Callable[[Destination], Ehr]


class Hands:
    """Changes the ledger and the outbox, in the caller's transaction."""

    def __init__(self, rooms: Rooms, *, actor: str) -> None:
        self._rooms = rooms
        self._actor = actor

    def ours(self, tx: Connection, destination: str, found: Sequence[Found]) -> list[str]:
        """Let ours come back for findings of one lane; return the repairs that it took.

        Raises DriftError where the EHR named no version that a guard could stand on.
        """
        again = [one for one in found if self._gives_way(tx, destination, one)]
        for one in found:
            self.release(tx, destination, one.line.identity)
        needed = [
            one.line
            for one in again
            if one.kind in LOST or not lines.is_owed(tx, destination, one.line)
        ]
        return self._repair(tx, destination, needed)

    def theirs(self, tx: Connection, destination: str, identity: Identity) -> None:
        """Leave what the EHR has, in every delivery that is held because of it."""
        for row in tx.execute(_held(destination, identity)).all():
            self._rooms.settlement.note_item(tx, row.id, row.position, Became.THEIRS)
            self._put_back(tx, row.id)

    def holds_for(self, tx: Connection, destination: str, identity: Identity) -> bool:
        """Say whether a delivery is held because of this resource, or another one it carries."""
        return tx.execute(_held(destination, identity).limit(1)).first() is not None

    def release(self, tx: Connection, destination: str, identity: Identity) -> int:
        """Put back what is held because of this resource; everything is guarded again."""
        rows = tx.execute(_held(destination, identity)).all()
        for row in rows:
            self._put_back(tx, row.id)
        return len(rows)

    def release_patient(self, tx: Connection, destination: str, lane: str) -> None:
        """Put back what is held because the EHR merged this patient."""
        chosen = select(delivery.c.id).where(
            delivery.c.destination == destination,
            delivery.c.lane == lane,
            delivery.c.state == State.HELD,
            delivery.c.reason.startswith(MERGED),
        )
        for delivery_id in tx.scalars(chosen).all():
            self._put_back(tx, delivery_id)

    def _gives_way(self, tx: Connection, destination: str, found: Found) -> bool:
        """Let the ledger say what is there instead; say whether ours has to be owed again."""
        line = found.line
        if found.kind is Kind.MISSING:
            ledger.forget(tx, destination, line.identity)
            return line.purpose != RETRACTION  # of what is not there, nothing is to be taken back
        if not found.can_be_guarded:
            raise DriftError(
                "the EHR names no version of what it has there now, so nothing guards ours",
                hint="have it put right in the EHR, then run fhirbridge reconcile again",
            )
        ledger.disown(
            tx,
            destination=destination,
            identity=line.identity,
            ehr_id=line.ehr_id or found.theirs.ehr_id,
            resource=line.resource,
            version=found.theirs.version,
            at=moment.to_text(self._rooms.clock.now()),
        )
        return True

    def _repair(self, tx: Connection, destination: str, needed: Sequence[Line]) -> list[str]:
        kept = [one for one in needed if self._has_its_targets(tx, destination, one, needed)]
        if not kept:
            return []
        first = next((one for one in kept if one.purpose == CONTENT), kept[0])
        owner = Owner(
            record_id=first.record_id, patient_key=first.lane, set_digest=first.set_digest
        )
        changes = [self._rooms.outbox.pinned(tx, one.resource) for one in kept]
        made = self._rooms.outbox.put_again(
            tx, destination=destination, lane_name=first.lane, owner=owner, changes=changes
        )
        return [made]

    def _has_its_targets(
        self, tx: Connection, destination: str, line: Line, needed: Sequence[Line]
    ) -> bool:
        """Say of a Provenance whether the EHR has, or gets, all that it names."""
        if line.purpose != PROVENANCE:
            return True
        coming = {one.identity for one in needed}
        body = self._rooms.contents.body(tx, line.resource)
        targets = (one["reference"].split("/") for one in body.get("target", []))
        theirs = registry.get(tx, destination).theirs  # which it does not name there
        named = {Identity(kind, own) for kind, own in targets if kind not in theirs}
        return all(one in coming or ledger.find(tx, destination, one) for one in named)

    def _put_back(self, tx: Connection, delivery_id: str) -> None:
        again = Move(to=State.PENDING, counts={"runs": 0, "attempts": 0, "server_errors": 0})
        state = tx.scalar(select(delivery.c.state).where(delivery.c.id == delivery_id))
        if state == State.HELD:  # once, though several of its resources are settled together
            self._rooms.settlement.move(tx, delivery_id, again, actor=self._actor)


def _held(destination: str, identity: Identity) -> Select[tuple[str, int]]:
    by_ehr = or_(delivery.c.reason.startswith(EDITED), delivery.c.reason.startswith(GONE))
    return (
        select(delivery.c.id, delivery_item.c.position)
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .where(
            delivery.c.destination == destination,
            delivery.c.state == State.HELD,
            by_ehr,
            delivery_item.c.type == identity.type,
            delivery_item.c.resource_id == identity.id,
        )
    )
