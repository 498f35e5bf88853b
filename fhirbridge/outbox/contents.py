"""Resource versions as translated: sealed, never changed; and which of them counts now."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from fhirbridge.fhir import codec
from fhirbridge.outbox.states import LANDED, Became, State
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import delivery, delivery_item, ledger, payload_key, record, resource
from fhirbridge.translate.values import Scope, TranslatedResource

# Built once: they are done for each resource.
_KEPT = insert(resource).values(
    recorded_at=select(record.c.recorded_at)
    .where(record.c.id == bindparam("of_record"))
    .scalar_subquery()
)
_SEALED = (
    select(resource.c.id, resource.c.record_id, resource.c.sealed, payload_key.c.wrapped)
    .outerjoin(payload_key, payload_key.c.owner == resource.c.record_id)
    .where(resource.c.id.in_(bindparam("of_rows", expanding=True)))
)

SHARED_LANE = "shared"
CONTENT = "content"
INCOMPLETE = "incomplete"  # content, made while its record held an element of it back
RETRACTION = "retraction"
PROVENANCE = "provenance"
PROVENANCE_TYPE = "Provenance"
ADDENDUM = "addendum"  # a document made after another one, which the EHR lets nobody change
TAKING_BACK = "taking-back"  # an addendum that says so of what the EHR lets nobody retract
OUTDATED = "outdated"  # content, until other mappings translated its record again
WITHDRAWN = "withdrawn"  # no content: its record says that what visits share does not hold
CONTRIBUTIONS = (CONTENT, INCOMPLETE)
ADDENDA = (ADDENDUM, TAKING_BACK)
STATEMENTS = (*CONTRIBUTIONS, WITHDRAWN)  # what a record says of a resource, be it that it is none


class Identity(NamedTuple):
    """Which FHIR resource: type and our id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The record version that a resource comes from."""

    record_id: str
    patient_key: str
    set_digest: str
    overlay: str = ""


class Contents:
    """Keeps and opens resource versions."""

    def __init__(self, *, vault: Vault, rng: Rng) -> None:
        self._vault = vault
        self._rng = rng

    def keep(
        self, tx: Connection, owner: Owner, made: TranslatedResource, *, purpose: str = CONTENT
    ) -> str:
        """Store one resource version in the caller's transaction; return its row id."""
        row_id = new_id(self._rng)
        key = self._vault.key(tx, owner.record_id)
        why = [
            {"target": w.target, "line": w.line, "sources": w.sources, "rule": w.rule}
            for w in made.why
        ]
        values = {
            "id": row_id,
            "record_id": owner.record_id,
            "of_record": owner.record_id,
            "purpose": purpose,
            "type": made.type,
            "resource_id": made.id,
            "lane": SHARED_LANE if made.scope is Scope.SITE else owner.patient_key,
            "scope": made.scope.value,
            "mapping": made.mapping,
            "set_digest": owner.set_digest,
            "overlay": owner.overlay,
            "as_of": moment.from_record(made.as_of),
            "digest": self._vault.digest(made.content_hash),
            "row": self._vault.digest(made.row) if made.row else "",
            "sealed": self._vault.seal(key, codec.encode(made.body), f"resource:{row_id}"),
            "sealed_why": self._vault.seal(key, codec.encode(why), f"why:{row_id}"),
        }
        tx.execute(_KEPT, values)
        return row_id

    def body(self, tx: Connection, row_id: str) -> dict[str, Any]:
        """Open the body of one resource version."""
        return self.opened(self.sealed(tx, [row_id]))[row_id]

    def sealed(self, tx: Connection, rows: Collection[str]) -> Sequence[Row[Any]]:
        """Read what `opened` opens, so that nothing of the database is held meanwhile."""
        return list(tx.execute(_SEALED, {"of_rows": list(rows)}))

    def opened(self, sealed: Sequence[Row[Any]]) -> dict[str, dict[str, Any]]:
        """Open the bodies of resource versions, by row id."""
        return {row: codec.decode_own(raw) for row, raw in self.unsealed(sealed).items()}

    def unsealed(self, sealed: Sequence[Row[Any]]) -> dict[str, bytes]:
        """Open the same as it was written: compact JSON."""
        wrapped = {row.record_id: row.wrapped for row in sealed}
        keys = {owner: self._vault.unwrap(key, owner) for owner, key in wrapped.items()}
        return {
            row.id: self._vault.unseal(keys[row.record_id], row.sealed, f"resource:{row.id}")
            for row in sealed
        }

    def why(self, tx: Connection, row_id: str) -> list[dict[str, Any]]:
        """Open where each element of one version comes from: target, line, sources, rule."""
        row = tx.execute(
            select(resource.c.record_id, resource.c.sealed_why).where(resource.c.id == row_id)
        ).one()
        plain = self._vault.unseal(
            self._vault.key(tx, row.record_id), row.sealed_why, f"why:{row_id}"
        )
        result: list[dict[str, Any]] = codec.decode(plain)
        return result

    def row_names(self, rows: Iterable[str]) -> frozenset[str]:
        """Return the stored names of source rows such as `vitals/v-03`."""
        return frozenset(self._vault.digest(row) for row in rows if row)


def of_record(tx: Connection, record_id: str, overlay: str | None = None) -> list[Row[Any]]:
    """Return what one record version was translated to, in that order.

    With one overlay, or (None) with all.
    """
    chosen = select(resource).where(
        resource.c.record_id == record_id, resource.c.purpose.in_(CONTRIBUTIONS)
    )
    if overlay is not None:
        chosen = chosen.where(resource.c.overlay == overlay)
    return list(tx.execute(chosen.order_by(resource.c.sequence)))


def of_session(tx: Connection, session_key: str, overlay: str) -> list[Row[Any]]:
    """Return what all versions of one session made or withdrew with one overlay, in order."""
    chosen = (
        select(resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(
            record.c.session_key == session_key,
            resource.c.overlay == overlay,
            resource.c.purpose.in_(STATEMENTS),
        )
    )
    return list(tx.execute(chosen.order_by(resource.c.sequence)))


def outdate(tx: Connection, record_id: str, overlay: str) -> None:
    """Let what was made of a record version count no more: it is about to be made again."""
    made = update(resource).where(
        resource.c.record_id == record_id,
        resource.c.overlay == overlay,
        resource.c.purpose.in_(STATEMENTS),
    )
    tx.execute(made.values(purpose=OUTDATED))


def winner(tx: Connection, identity: Identity, overlay: str, lane: str) -> Row[Any] | None:
    """Return the newest word of those with an overlay, be it that it is withdrawn, or None.

    In the chart of one patient (`lane`), or of what belongs to none. What a person took back from
    that chart says nothing any more, except of what all share.

    By as_of, recorded_at, version, and which was translated last; an incomplete one counts where
    there is no other. A version that could not be translated leaves the one before it counting.
    """
    asked = {"of_type": identity.type, "of_id": identity.id, "made_with": overlay}
    asked["of_lane"] = lane
    whole = tx.execute(_winner(CONTENT, WITHDRAWN), asked).one_or_none()
    return whole or tx.execute(_winner(INCOMPLETE), asked).one_or_none()


@cache
def _winner(*purposes: str) -> Select[Any]:
    """Build the question once: it is asked for each resource of each record.

    The index gives the newest first, so that of what every record says only a few are looked at.
    """
    of_type: BindParameter[str] = bindparam("of_type")
    of_id: BindParameter[str] = bindparam("of_id")
    made_with: BindParameter[str] = bindparam("made_with")
    newer, there = record.alias(), resource.alias()
    keeps_earlier = (
        select(there.c.id)
        .where(
            there.c.record_id == newer.c.id,
            there.c.type == of_type,
            there.c.resource_id == of_id,
            there.c.overlay == made_with,
            there.c.purpose == INCOMPLETE,
        )
        .exists()
    )
    other = resource.alias()
    made_too = (
        select(other.c.id)
        .where(other.c.record_id == newer.c.id, other.c.overlay == made_with)
        .exists()
    )
    replaced = (
        select(newer.c.id)
        .where(
            newer.c.session_key == record.c.session_key,
            newer.c.version > record.c.version,
            newer.c.translation == "done",
            newer.c.state != "older",
            # Made with this overlay too; where only the overlay failed, the version before counts.
            newer.c.in_error | made_too,
            ~keeps_earlier,
        )
        .exists()
    )
    return (
        select(resource)
        .join(record, record.c.id == resource.c.record_id)
        .where(
            resource.c.type == of_type,
            resource.c.resource_id == of_id,
            resource.c.overlay == made_with,
            resource.c.purpose.in_(purposes),
            resource.c.lane.in_([bindparam("of_lane"), SHARED_LANE]),
            record.c.translation == "done",
            record.c.in_error.is_(False),
            record.c.purged_at == "",
            or_(record.c.retracted == "", resource.c.lane == SHARED_LANE),
            ~replaced,
        )
        .order_by(
            resource.c.as_of.desc(),
            resource.c.recorded_at.desc(),
            record.c.version.desc(),
            resource.c.sequence.desc(),
        )
        .limit(1)
    )


def last_pinned(tx: Connection, destination: str, identity: Identity, lane: str) -> Row[Any] | None:
    """Return the version that this destination holds or is owed in a patient's chart, or None.

    `replaced`: it came with a delivery of which a newer one replaced the rest. A repair brings back
    an old one and says nothing about what is owed now. `retracted`: its record was taken back;
    `purged_at`: it was purged, so that nobody can open it.
    """
    asked = {"at": destination, "of_type": identity.type, "of_id": identity.id, "of_lane": lane}
    return tx.execute(_last_pinned(), asked).one_or_none()


@cache
def _last_pinned() -> Select[Any]:
    """Build the question once: it is asked for each resource of each record."""
    return (
        select(resource, (delivery.c.state == State.SUPERSEDED).label("replaced"))
        .add_columns(record.c.retracted, record.c.purged_at)
        .join(record, record.c.id == resource.c.record_id)
        .join(delivery_item, delivery_item.c.resource == resource.c.id)
        .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
        .where(
            delivery.c.destination == bindparam("at"),
            delivery.c.lane.in_([bindparam("of_lane"), SHARED_LANE]),
            or_(delivery.c.state != State.SUPERSEDED, delivery_item.c.outcome.in_(LANDED)),
            delivery.c.repairs.is_(False),
            delivery_item.c.type == bindparam("of_type"),
            delivery_item.c.resource_id == bindparam("of_id"),
        )
        .order_by(delivery.c.sequence.desc())
        .limit(1)
    )


def brought(tx: Connection, destination: str, resource_row: str) -> int:
    """Return the place in its lane of the last delivery, no repair, that carried this row, or 0."""
    chosen = (
        select(func.max(delivery.c.sequence))
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .where(
            delivery.c.destination == destination,
            delivery.c.repairs.is_(False),
            delivery_item.c.resource == resource_row,
        )
    )
    return tx.scalar(chosen) or 0


def taken_back(tx: Connection, destination: str, identity: Identity, since: int) -> bool:
    """Say whether a delivery after `since` took this back when the EHR had nothing of it.

    Nothing of that stands in the ledger.
    """
    chosen = (
        select(delivery.c.id)
        .join(delivery_item, delivery_item.c.delivery_id == delivery.c.id)
        .join(resource, resource.c.id == delivery_item.c.resource)
        .where(
            delivery.c.destination == destination,
            delivery.c.repairs.is_(False),
            delivery.c.sequence > since,
            delivery_item.c.type == identity.type,
            delivery_item.c.resource_id == identity.id,
            delivery_item.c.outcome == Became.UNCHANGED,
            resource.c.purpose == RETRACTION,
        )
    )
    return tx.execute(chosen.limit(1)).first() is not None


def is_held(tx: Connection, destination: str, identity: Identity) -> bool:
    """Say whether this destination is known to hold any version of a resource."""
    chosen = select(ledger.c.ehr_id).where(*_is_line(destination, identity))
    return tx.execute(chosen).first() is not None


def _is_line(destination: str, identity: Identity) -> tuple[ColumnElement[bool], ...]:
    return (
        ledger.c.destination == destination,
        ledger.c.type == identity.type,
        ledger.c.resource_id == identity.id,
    )


def held_purpose(tx: Connection, destination: str, identity: Identity) -> str:
    """Return what the version is for that this destination is known to hold, or ""."""
    chosen = (
        select(resource.c.purpose)
        .join(ledger, ledger.c.resource == resource.c.id)
        .where(
            *_is_line(destination, identity),
        )
    )
    return tx.scalar(chosen) or ""


def held_row(tx: Connection, destination: str, identity: Identity, lane: str) -> str:
    """Return the version that this destination is known to hold in a patient's chart, or ""."""
    chosen = (
        select(ledger.c.resource)
        .join(resource, resource.c.id == ledger.c.resource)
        .where(
            *_is_line(destination, identity),
            resource.c.lane == lane,
        )
    )
    return tx.scalar(chosen) or ""
