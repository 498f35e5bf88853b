"""Owe a destination what changed: pinned resource versions, in the caller's transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.fhir import codec
from fhirbridge.fhir.retract import can_retract, retracted
from fhirbridge.outbox import contents, telling
from fhirbridge.outbox.contents import SHARED_LANE, Contents, Identity, Owner
from fhirbridge.outbox.states import State, Way
from fhirbridge.outbox.waking import Waking
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, lane, resource
from fhirbridge.store.upsert import insert as upsert
from fhirbridge.translate.values import Scope, TranslatedResource

MakeProvenance = Callable[[Sequence[str], str, str], TranslatedResource]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One resource version that a destination does not have yet."""

    identity: Identity
    lane: str
    resource: str
    digest: str
    row: str = ""  # stored name of the source row


@dataclass(frozen=True, slots=True, kw_only=True)
class Haste:
    """How soon it should go. `low`: a backfill, after all that is live.

    `urgent` are stored names of rows that a person must hear of when they are stuck; what carries
    one is never low.
    """

    low: bool = False
    urgent: frozenset[str] = frozenset()


LIVE = Haste()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shield:
    """What must stay as it was sent, since the record now holds an element of it back.

    `rows` are stored names of source rows, `identities` resources made from the whole record.
    """

    rows: frozenset[str] = frozenset()
    identities: frozenset[Identity] = frozenset()


NOTHING_HELD = Shield()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What one record version means for one destination."""

    delivery_id: str
    destination: str
    state: State
    changes: tuple[Change, ...]
    kept: tuple[Identity, ...]  # not sent because the record has a held element there
    cannot_retract: tuple[Identity, ...]


class Outbox:
    """Writes deliveries. Everything happens in the transaction that it is given."""

    def __init__(
        self, *, contents: Contents, audit: EvidenceLog, clock: Clock, rng: Rng, waking: Waking
    ) -> None:
        self._contents = contents
        self._audit = audit
        self._clock = clock
        self._rng = rng
        self._waking = waking

    def put(
        self,
        tx: Connection,
        *,
        destination: str,
        owner: Owner,
        touched: Sequence[Identity],
        shield: Shield,
        make_provenance: MakeProvenance | None,
        renew: bool = False,
        wholly: bool = False,
        haste: Haste = LIVE,
        actor: str = "intake",
    ) -> Owed:
        """Owe this destination whatever of `touched` it does not hold or is not owed yet.

        `renew`: what was owed before was refused, so all that is not there yet comes once more and
        the delivery needs no other one.

        `wholly`: a person takes it back from this chart, so what visits share goes too where no
        other record says it, and nothing is written where there is nothing to take back. Without
        `make_provenance` it goes without a Provenance.
        """
        case = _Case(
            destination=destination, owner=owner, shield=shield, renew=renew, wholly=wholly
        )
        decided = _Decision()
        for identity in touched:
            self._decide(tx, case, identity, decided)
        delivery_id = new_id(self._rng)
        shared = [change for change in decided.changes if change.lane == SHARED_LANE]
        own = [change for change in decided.changes if change.lane != SHARED_LANE]
        if shared:
            self._write(
                tx,
                _Place(new_id(self._rng), destination, SHARED_LANE),
                owner,
                shared,
                low=haste.low,
            )
        if decided.changes and make_provenance is not None:
            own.append(self._provenance(tx, owner, decided.changes, delivery_id, make_provenance))
        urgent = any(change.row in haste.urgent for change in own)
        if own or not wholly:
            self._write(
                tx,
                _Place(delivery_id, destination, owner.patient_key),
                owner,
                own,
                low=haste.low and not urgent,
                urgent=urgent,
                actor=actor,
            )
        return Owed(
            delivery_id=delivery_id,
            destination=destination,
            state=State.PENDING,
            changes=tuple(decided.changes),
            kept=tuple(decided.kept),
            cannot_retract=tuple(decided.cannot_retract),
        )

    def put_again(
        self,
        tx: Connection,
        *,
        destination: str,
        lane_name: str,
        owner: Owner,
        changes: Sequence[Change],
    ) -> str:
        """Owe again what a destination had and lost, as it was; return the delivery's id."""
        place = _Place(new_id(self._rng), destination, lane_name)
        self._write(tx, place, owner, changes, repairs=True)
        return place.delivery_id

    def put_held(
        self,
        tx: Connection,
        *,
        destination: str,
        owner: Owner,
        reason: str,
        haste: Haste = LIVE,
    ) -> Owed:
        """Note that a destination is owed a record that cannot be sent as it is."""
        delivery_id = new_id(self._rng)
        place = _Place(delivery_id, destination, owner.patient_key)
        urgent = bool(haste.urgent)
        low = haste.low and not urgent
        self._write(tx, place, owner, [], held_for=reason, low=low, urgent=urgent)
        return Owed(
            delivery_id=delivery_id,
            destination=destination,
            state=State.HELD,
            changes=(),
            kept=(),
            cannot_retract=(),
        )

    def _decide(
        self,
        tx: Connection,
        case: "_Case",
        identity: Identity,
        decided: "_Decision",
    ) -> None:
        lane_name = case.owner.patient_key
        pinned = contents.last_pinned(tx, case.destination, identity, lane_name)
        best = contents.winner(tx, identity, case.owner.overlay, lane_name)
        row = best.row if best is not None else pinned.row if pinned is not None else ""
        shield = case.shield
        if pinned is not None and (row in shield.rows or identity in shield.identities):
            # A held element is no disappearance: what was sent stays until the record is mended.
            decided.kept.append(identity)
        elif best is not None and best.purpose != contents.WITHDRAWN:
            missing = case.renew and not contents.is_held(tx, case.destination, identity)
            # What came with a refused delivery is named once more: its Provenance never came.
            missing = missing or (case.renew and pinned is not None and pinned.replaced)
            # Who comes back after a purge is sent whole: what is there cannot be compared any more.
            missing = missing or (pinned is not None and pinned.purged_at != "")
            if missing or pinned is None or pinned.digest != best.digest:
                change = Change(
                    identity=identity,
                    lane=best.lane,
                    resource=best.id,
                    digest=best.digest,
                    row=best.row,
                )
                decided.changes.append(change)
        elif (
            pinned is not None
            and not pinned.purged_at  # that stays there as it is
            # What visits share is taken back where the newest says so, not where none has it.
            and (best is not None or pinned.scope == Scope.VISIT or case.takes_back(pinned))
            and pinned.purpose in (*contents.CONTRIBUTIONS, contents.OUTDATED)
        ):
            if can_retract(identity.type):
                said = pinned.id
                if case.wholly:  # what was owed since, and what it points to, may never have come
                    said = contents.held_row(tx, case.destination, identity, lane_name) or said
                decided.changes.append(self._retract(tx, case.owner, identity, said))
            else:
                decided.cannot_retract.append(identity)

    def _retract(
        self, tx: Connection, owner: Owner, identity: Identity, resource_row: str
    ) -> Change:
        body = retracted(self._contents.body(tx, resource_row))
        made = TranslatedResource(
            type=identity.type,
            id=identity.id,
            mapping="retraction",
            scope=Scope.VISIT,
            body=body,
            content_hash=codec.content_hash(body),
            as_of=self._now(),
            row="",
            why=(),
        )
        row_id = self._contents.keep(tx, owner, made, purpose=contents.RETRACTION)
        return self.pinned(tx, row_id)

    def _provenance(
        self,
        tx: Connection,
        owner: Owner,
        changes: Sequence[Change],
        delivery_id: str,
        make_provenance: MakeProvenance,
    ) -> Change:
        targets = [f"{change.identity.type}/{change.identity.id}" for change in changes]
        made = make_provenance(targets, delivery_id, self._now())
        return self.pinned(tx, self._contents.keep(tx, owner, made, purpose=contents.PROVENANCE))

    def pinned(self, tx: Connection, row_id: str) -> Change:
        """Return a kept resource version as something to owe."""
        row = tx.execute(select(resource).where(resource.c.id == row_id)).one()
        identity = Identity(row.type, row.resource_id)
        return Change(identity=identity, lane=row.lane, resource=row.id, digest=row.digest)

    def _write(
        self,
        tx: Connection,
        place: "_Place",
        owner: Owner,
        changes: Sequence[Change],
        *,
        held_for: str = "",
        low: bool = False,
        urgent: bool = False,
        repairs: bool = False,
        actor: str = "intake",
    ) -> None:
        now = self._now()
        state = State.HELD if held_for else State.PENDING
        values = {
            "id": place.delivery_id,
            "destination": place.destination,
            "lane": place.lane,
            "sequence": _next_sequence(tx, place.destination, place.lane),
            "needs_shared": 0
            if place.lane == SHARED_LANE
            else _last_sequence(tx, place.destination, SHARED_LANE),
            "record_id": owner.record_id,
            "set_digest": owner.set_digest,
            "way": Way.BUNDLE,
            "repairs": repairs,
            "state": state,
            "reason": held_for,
            "runs": 0,
            "attempts": 0,
            "server_errors": 0,
            "low": low,
            "urgent": urgent,
            "due_at": now,
            "created_at": now,
            "changed_at": now,
        }
        tx.execute(insert(delivery), values)
        items = [
            {
                "delivery_id": place.delivery_id,
                "position": position,
                "type": change.identity.type,
                "resource_id": change.identity.id,
                "resource": change.resource,
                "digest": change.digest,
                "outcome": "",
                "reason": "",
                "link": "",
            }
            for position, change in enumerate(changes)
        ]
        if items:
            tx.execute(insert(delivery_item), items)
        entry = Entry(
            actor="reconcile" if repairs else actor,
            action=Action.DELIVERY_QUEUED,
            outcome=state.value,
            record_id=owner.record_id,
            delivery_id=place.delivery_id,
            destination=place.destination,
            detail={"entries": len(changes), "reason": held_for},
        )
        self._audit.append(tx, entry)
        telling.tell(
            tx,
            state,
            delivery=place.delivery_id,
            record=owner.record_id,
            destination=place.destination,
            lane=place.lane,
            reason=held_for,
            at=self._clock.now(),
        )
        if state is State.PENDING:
            self._waking.wake(tx, place.destination, place.lane)

    def _now(self) -> str:
        return moment.to_text(self._clock.now())


class _Place(NamedTuple):
    """Which delivery, and the lane it goes in."""

    delivery_id: str
    destination: str
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What is the same for all resources of one decision."""

    destination: str
    owner: Owner
    shield: Shield
    renew: bool
    wholly: bool

    def takes_back(self, pinned: Row[Any]) -> bool:
        """Say whether what visits share goes too: where it was said by what is taken back."""
        return self.wholly and bool(pinned.retracted) and pinned.scope != Scope.SITE


class _Decision:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.kept: list[Identity] = []
        self.cannot_retract: list[Identity] = []


def _next_sequence(tx: Connection, destination: str, lane_name: str) -> int:
    first = upsert(lane).values(
        destination=destination, lane=lane_name, sequence=1, fence=0, leased_until=""
    )
    taken = first.on_conflict_do_update(
        index_elements=["destination", "lane"], set_={"sequence": lane.c.sequence + 1}
    ).returning(lane.c.sequence)
    return int(tx.execute(taken).scalar_one())


def _last_sequence(tx: Connection, destination: str, lane_name: str) -> int:
    chosen = select(lane.c.sequence).where(
        lane.c.destination == destination, lane.c.lane == lane_name
    )
    return tx.scalar(chosen) or 0
