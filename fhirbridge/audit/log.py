"""Append evidence rows. Each is a salted leaf of one Merkle log; a sequencer numbers them later.

A row is written in the transaction of the change: no row, no change. Its detail holds codes, counts
and opaque ids; what may hold PHI goes into the sealed payload, whose salted digest the row keeps.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select

from fhirbridge.audit import places, tree
from fhirbridge.clock import Clock
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import evidence

SALT_BYTES = 16
_ROW = insert(evidence)  # built once
# What the leaf of a row is made of, besides its salt.
LEAF_FIELDS = (
    "id",
    "at",
    "actor",
    "action",
    "outcome",
    "record_id",
    "delivery_id",
    "destination",
    "detail",
    "payload_owner",
    "payload_digest",
)


class Action(StrEnum):
    """What an evidence row is about."""

    RECORD_ACCEPTED = "record.accepted"
    RECORD_REPEATED = "record.repeated"
    RECORD_REFUSED = "record.refused"
    RECORD_TRANSLATED = "record.translated"
    RECORD_READ = "record.read"
    RECORD_RETRACTED = "record.retracted"
    RECORD_LIFTED = "record.lifted"
    RECORD_PURGED = "record.purged"
    HOLD_PLACED = "retention.held"
    HOLD_LIFTED = "retention.lifted"
    HOLDS_READ = "retention.read"
    INCIDENT_READ = "incident.read"
    INCIDENT_PACKED = "incident.packed"
    STOCK_ACCEPTED = "stock.accepted"
    STOCK_REPEATED = "stock.repeated"
    STOCK_READ = "stock.read"
    DELIVERY_QUEUED = "delivery.queued"
    DELIVERY_STARTED = "delivery.started"
    DELIVERY_ANSWERED = "delivery.answered"
    DELIVERY_CHANGED = "delivery.changed"
    DELIVERY_BY_HAND = "delivery.by-hand"
    RECONCILED = "reconcile.run"
    DRIFT_FOUND = "drift.found"
    DRIFT_READ = "drift.read"
    DRIFT_SETTLED = "drift.settled"
    DRIFT_POLICY = "drift.policy"
    DELIVERIES_PAUSED = "deliveries.paused"
    DELIVERIES_RESUMED = "deliveries.resumed"
    PLAN_BEGUN = "plan.begun"
    DIFFERENCES_READ = "differences.read"
    DESTINATION_ADDED = "destination.added"
    DESTINATION_PROBED = "destination.probed"
    DESTINATION_TESTED = "destination.tested"
    DESTINATION_PAUSED = "destination.paused"
    DESTINATION_LIMITED = "destination.limited"
    DESTINATION_WEAK_GUARD = "destination.weak-guard"
    DESTINATION_RESUMED = "destination.resumed"
    DESTINATION_PROFILE = "destination.profile"
    DESTINATION_TYPES = "destination.types"
    DESTINATION_REMOVED = "destination.removed"
    SUBSCRIPTION_ASKED = "subscription.asked"
    SUBSCRIPTION_KEPT = "subscription.kept"
    SUBSCRIPTION_ENDED = "subscription.ended"
    REASONS_READ = "destination.reasons-read"
    PATIENT_LINKED = "patient.linked"
    PATIENT_HELD = "patient.held"
    PATIENT_DECIDED = "patient.decided"
    PATIENT_READ = "patient.read"
    PATIENT_POLICY = "patient.policy"
    DESTINATION_PULL = "destination.pull"
    EHR_PULLED = "ehr.pulled"
    EHR_READ = "ehr.read"
    EHR_LOST = "ehr.lost"
    FACADE_READ = "facade.read"
    THEIRS_DECIDED = "theirs.decided"
    THEIRS_POLICY = "theirs.policy"
    THEIRS_READ = "theirs.read"
    CROSSWALK_LOADED = "crosswalk.loaded"
    CROSSWALK_READ = "crosswalk.read"
    CROSSWALK_REMOVED = "crosswalk.removed"
    LEGAL_BASIS = "destination.legal-basis"
    RESOURCES_EXPORTED = "resources.exported"
    DESTINATION_EXPORTED = "destination.exported"
    SIGN_IN_SET = "sign-in.set"
    SIGN_IN_KEY = "sign-in.key"
    SOURCE_ADDED = "webhook.source-added"
    SOURCE_ROTATED = "webhook.source-rotated"
    SOURCE_REVOKED = "webhook.source-revoked"
    ENDPOINT_ADDED = "webhook.endpoint-added"
    ENDPOINT_ROTATED = "webhook.endpoint-rotated"
    ENDPOINT_REMOVED = "webhook.endpoint-removed"
    ENDPOINT_DISABLED = "webhook.endpoint-disabled"
    ENDPOINT_ENABLED = "webhook.endpoint-enabled"
    ENDPOINT_TESTED = "webhook.endpoint-tested"
    ENDPOINT_REPLAYED = "webhook.endpoint-replayed"
    MESSAGE_CONFLICT = "message.conflict"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    PATIENT_MERGE_TOLD = "patient.merge-told"
    TOKEN_MADE = "token.made"  # noqa: S105  no secret
    TOKEN_REVOKED = "token.revoked"  # noqa: S105  no secret
    MAPPINGS_LIVE = "mappings.live"
    MAPPINGS_REFUSED = "mappings.refused"
    DATABASE_BACKED_UP = "database.backed-up"
    DATABASE_RESTORED = "database.restored"
    EVIDENCE_KEY = "evidence.key"
    EVIDENCE_EXPORTED = "evidence.exported"
    REPORT_MADE = "report.made"
    REMS_SUBMITTED = "rems.submitted"
    ACCESS_REFUSED = "access.refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `payload` is sealed under the key of `payload_owner`."""

    actor: str
    action: Action
    outcome: str = "ok"
    record_id: str = ""
    delivery_id: str = ""
    destination: str = ""
    detail: dict[str, Any] | None = None
    payload_owner: str = ""
    payload: bytes | None = None


class EvidenceLog:
    """Writes evidence rows with this clock, chance and vault."""

    def __init__(self, *, clock: Clock, rng: Rng, vault: Vault) -> None:
        self._clock = clock
        self._rng = rng
        self._vault = vault

    def append(self, tx: Connection, entry: Entry) -> str:
        """Write one row in the caller's transaction; return its id."""
        row_id = new_id(self._rng)
        fields = {
            "id": row_id,
            "at": moment.to_text(self._clock.now()),
            "actor": entry.actor,
            "action": entry.action.value,
            "outcome": entry.outcome,
            "record_id": entry.record_id,
            "delivery_id": entry.delivery_id,
            "destination": entry.destination,
            "detail": codec.canonical(entry.detail or {}).decode(),
            "payload_owner": entry.payload_owner,
            "payload_digest": "",
        }
        sealed = None
        if entry.payload is not None:
            # This salt lies inside the seal: with its key shredded, the digest says nothing.
            salted = self._rng.token(SALT_BYTES) + entry.payload
            fields["payload_digest"] = hashlib.sha256(salted).hexdigest()
            key = self._vault.key(tx, entry.payload_owner)
            sealed = self._vault.seal(key, salted, f"evidence:{row_id}")
        salt = self._rng.token(SALT_BYTES)
        leaf = leaf_hash(salt, fields)
        row = {**fields, "payload": sealed, "salt": salt, "leaf": leaf}
        tx.execute(_ROW, row)
        places.wait(tx, row_id)
        return row_id

    def payload(self, tx: Connection, row_id: str) -> bytes:
        """Open the exact bytes that one row keeps."""
        return self.salted(tx, row_id)[SALT_BYTES:]

    def salted(self, tx: Connection, row_id: str) -> bytes:
        """Open what one row keeps: the salt of its digest, SALT_BYTES long, and then the bytes.

        Raises ShreddedError or TamperedError.
        """
        row = tx.execute(select(evidence).where(evidence.c.id == row_id)).one()
        key = self._vault.key(tx, row.payload_owner)
        return self._vault.unseal(key, row.payload, f"evidence:{row_id}")


def head(tx: Connection) -> str:
    """RFC 6962 tree head over all rows, by time and then id: two logs with one head are equal."""
    leaves = tx.scalars(select(evidence.c.leaf).order_by(evidence.c.at, evidence.c.id))
    trees: list[tuple[int, bytes]] = []  # of 2^n leaves each, the largest first
    for leaf in leaves:
        size, made = 1, bytes.fromhex(leaf)
        while trees and trees[-1][0] == size:
            size, made = 2 * size, tree.parent(trees.pop()[1], made)
        trees.append((size, made))
    if not trees:
        return tree.EMPTY.hex()
    _, made = trees.pop()
    while trees:
        made = tree.parent(trees.pop()[1], made)
    return made.hex()


def leaf_hash(salt: bytes, fields: dict[str, str]) -> str:
    """RFC 6962 leaf: SHA-256 over 0x00, the row's salt and its canonical fields."""
    return tree.leaf_of(salt + codec.canonical(fields)).hex()
