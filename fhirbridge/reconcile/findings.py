"""Keep what was found to differ: opaque ids and element names; both sides sealed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.errors import BridgeError
from fhirbridge.events import log as events
from fhirbridge.events.log import Event, Subkind
from fhirbridge.fhir import codec, projection
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile.compare import Kind, Shown, Theirs
from fhirbridge.reconcile.lines import Line
from fhirbridge.reconcile.weigh import EVERY_TYPE, Choice
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.drift_tables import drift, drift_policy
from fhirbridge.store.sealed import Vault

OPEN, SETTLED, CLOSED = "open", "settled", "closed"
MERGES = {Kind.MERGED: Subkind.PATIENT_MERGED}
SHOWN = ("id", "destination", "type", "resource_id", "kind", "elements", "ehr_version")
SHOWN_TOO = ("state", "choice", "actor", "found_at", "changed_at")


class DriftError(BridgeError):
    """A finding cannot be settled as asked."""

    code = "E412"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One difference: what is known of the resource, what became of it, and both its sides."""

    line: Line
    kind: Kind
    theirs: Theirs
    elements: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)  # survivor, or ids of duplicates

    @property
    def can_be_guarded(self) -> bool:
        """Say whether ours can be sent so that it replaces exactly what was seen."""
        return self.kind is Kind.MISSING or bool(self.theirs.version)


class Findings:
    """Writes and reads findings and policies, in the caller's transaction."""

    def __init__(self, *, vault: Vault, rng: Rng, clock: Clock, audit: EvidenceLog) -> None:
        self._vault = vault
        self._rng = rng
        self._clock = clock
        self._audit = audit

    def note(self, tx: Connection, destination: str, found: Found, sides: dict[str, Any]) -> str:
        """Keep a finding as open: one for each resource, brought up to what was seen last."""
        known = self.open_of(tx, destination, found.line.identity)
        digest = self.digest(found)
        if known is not None and (known.kind, known.theirs) == (found.kind, digest):
            return str(known.id)
        row_id = new_id(self._rng) if known is None else known.id
        owner = found.line.record_id if known is None else known.record_id
        now = moment.to_text(self._clock.now())
        seen = {
            "kind": found.kind.value,
            "elements": " ".join(found.elements),
            "ehr_version": found.theirs.version,
            "theirs": digest,
            "changed_at": now,
            "sealed": self._seal(tx, owner, row_id, {**sides, **found.more}),
        }
        if known is not None:
            tx.execute(update(drift).where(drift.c.id == row_id).values(**seen))
        else:
            fixed = {"destination": destination, "lane": found.line.lane, "record_id": owner}
            fixed |= {"type": found.line.identity.type, "resource_id": found.line.identity.id}
            fixed |= {"state": OPEN, "choice": "", "actor": "", "found_at": now}
            tx.execute(insert(drift).values(id=row_id, **fixed, **seen))
        row = self.row(tx, row_id)
        self._tell(tx, row, Action.DRIFT_FOUND, "reconcile", found.kind.value)
        self._tell_of_change(tx, row)
        return str(row_id)

    def settle(
        self, tx: Connection, row: Row[Any], choice: Choice, *, reason: str, actor: str
    ) -> None:
        """Note who chose which side, and why."""
        sides = {**self.sides(tx, row), "reason": reason}
        values = {"state": SETTLED, "choice": choice.value, "actor": actor}
        values["changed_at"] = moment.to_text(self._clock.now())
        sealed = self._seal(tx, row.record_id, row.id, sides)
        tx.execute(update(drift).where(drift.c.id == row.id).values(**values, sealed=sealed))
        self._tell(tx, row, Action.DRIFT_SETTLED, actor, choice.value, reason=reason)

    def close(self, tx: Connection, destination: str, identity: Identity) -> Row[Any] | None:
        """Close an open finding of what differs no more; return it, or None where none was."""
        row = self.open_of(tx, destination, identity)
        if row is not None:
            now = moment.to_text(self._clock.now())
            closed = update(drift).where(drift.c.id == row.id)
            tx.execute(closed.values(state=CLOSED, changed_at=now))
            self._tell(tx, row, Action.DRIFT_SETTLED, "reconcile", CLOSED)
        return row

    def is_known(self, tx: Connection, destination: str, found: Found) -> bool:
        """Say whether somebody left just this as it is."""
        chosen = (
            select(drift.c.theirs, drift.c.kind)
            .where(*_is(destination, found.line.identity), drift.c.state == SETTLED)
            .order_by(drift.c.changed_at.desc())
            .limit(1)
        )
        last = tx.execute(chosen).one_or_none()
        return last is not None and (last.kind, last.theirs) == (found.kind, self.digest(found))

    def digest(self, found: Found) -> str:
        """Name what was seen, keyed, so that it is known again and says nothing."""
        if found.kind is Kind.DUPLICATED:
            seen = " ".join(sorted(found.more["ids"]))
        elif found.theirs.shown is Shown.THERE and found.theirs.body is not None:
            seen = projection.canonical(found.theirs.body).decode()
        else:
            seen = f"{found.theirs.shown.value} {found.theirs.version}"
        return self._vault.digest(seen)

    def open_of(self, tx: Connection, destination: str, identity: Identity) -> Row[Any] | None:
        """Return the open finding of one resource, or None."""
        chosen = select(drift).where(*_is(destination, identity), drift.c.state == OPEN)
        return tx.execute(chosen).one_or_none()

    def row(self, tx: Connection, row_id: str) -> Row[Any]:
        """Return one finding. Raises DriftError where there is none of this id."""
        found = tx.execute(select(drift).where(drift.c.id == row_id)).one_or_none()
        if found is None:
            raise DriftError("there is no finding of this id", hint="fhirbridge drift list")
        return found

    def sides(self, tx: Connection, row: Row[Any]) -> dict[str, Any]:
        """Open both sides of a finding: PHI."""
        key = self._vault.key(tx, row.record_id)
        plain = self._vault.unseal(key, row.sealed, f"drift:{row.id}")
        result: dict[str, Any] = codec.decode(plain)
        return result

    def note_read(self, tx: Connection, row: Row[Any], actor: str) -> None:
        """Note that somebody looked at both sides."""
        self._tell(tx, row, Action.DRIFT_READ, actor, "ok")

    def set_policy(
        self, tx: Connection, destination: str, kind: str, choice: Choice, actor: str
    ) -> None:
        """Choose beforehand for a type, or for every other one."""
        tx.execute(
            drift_policy.delete().where(
                drift_policy.c.destination == destination, drift_policy.c.type == kind
            )
        )
        values = {"destination": destination, "type": kind, "choice": choice.value}
        tx.execute(insert(drift_policy).values(**values))
        detail = {"type": kind, "choice": choice.value}
        entry = Entry(
            actor=actor, action=Action.DRIFT_POLICY, destination=destination, detail=detail
        )
        self._audit.append(tx, entry)

    def _seal(self, tx: Connection, owner: str, row_id: str, sides: Mapping[str, Any]) -> bytes:
        key = self._vault.key(tx, owner)
        return self._vault.seal(key, codec.encode(dict(sides)), f"drift:{row_id}")

    def _tell(
        self,
        tx: Connection,
        row: Row[Any],
        action: Action,
        actor: str,
        outcome: str,
        *,
        reason: str = "",
    ) -> None:
        # A person's words may name a patient: they are sealed like a payload.
        entry = Entry(
            actor=actor,
            action=action,
            outcome=outcome,
            record_id=row.record_id,
            destination=row.destination,
            detail={"drift": row.id, "kind": row.kind, "elements": row.elements.split()},
            payload_owner=row.record_id if reason else "",
            payload=reason.encode() if reason else None,
        )
        self._audit.append(tx, entry)

    def _tell_of_change(self, tx: Connection, row: Row[Any]) -> None:
        """Let others hear what somebody there did to what we sent, of types they are told of."""
        edits = events.OF_TYPE if row.kind in (Kind.EDITED, Kind.DELETED) else {}
        subkind = MERGES.get(row.kind) or edits.get(row.type)
        if subkind is not None:
            changed = Event(
                subkind=subkind,
                destination=row.destination,
                patient=row.lane,
                detail={
                    "type": row.type,
                    "drift": row.id,
                    "found": row.kind,
                    "elements": row.elements.split(),
                },
            )
            events.append(tx, self._rng, changed, at=self._clock.now())


def open_identities(tx: Connection, destination: str, kind: Kind | None = None) -> list[Identity]:
    """Return the resources with an open finding, of one kind or of any."""
    chosen = select(drift.c.type, drift.c.resource_id).where(
        drift.c.destination == destination, drift.c.state == OPEN
    )
    if kind is not None:
        chosen = chosen.where(drift.c.kind == kind)
    return [Identity(*row) for row in tx.execute(chosen.order_by(drift.c.found_at))]


def policies(tx: Connection, destination: str) -> dict[str, str]:
    """Return what was chosen beforehand, by type."""
    chosen = select(drift_policy).where(drift_policy.c.destination == destination)
    found = {row.type: row.choice for row in tx.execute(chosen)}
    return {EVERY_TYPE: Choice.HOLD.value, **found}


def listed(tx: Connection, destination: str | None, *, every: bool) -> list[dict[str, Any]]:
    """Return the open findings, or with `every` all of them: ids and element names only."""
    chosen = select(*(drift.c[name] for name in (*SHOWN, *SHOWN_TOO)))
    if destination is not None:
        chosen = chosen.where(drift.c.destination == destination)
    if not every:
        chosen = chosen.where(drift.c.state == OPEN)
    rows = tx.execute(chosen.order_by(drift.c.found_at, drift.c.id)).mappings()
    return [{**row, "elements": row["elements"].split()} for row in rows]


def forget(tx: Connection, records: Collection[str]) -> None:
    """Erase both sides of what was found of these records; that it was found stays."""
    tx.execute(update(drift).where(drift.c.record_id.in_(records)).values(sealed=b""))


def _is(destination: str, identity: Identity) -> tuple[Any, Any, Any]:
    return (
        drift.c.destination == destination,
        drift.c.type == identity.type,
        drift.c.resource_id == identity.id,
    )
