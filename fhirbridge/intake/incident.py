"""A chart of the wrong patient: sessions are taken back from it, and let go again.

What is marked so is stopped where it waits, taken back where it went, and never comes back by
itself. Everything happens in the transaction that is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from fhirbridge.audit.log import Action, Entry
from fhirbridge.consent import state as consent
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.taken import NOTE_TYPE
from fhirbridge.errors import BridgeError
from fhirbridge.intake import again
from fhirbridge.intake.owing import Owing
from fhirbridge.intake.rooms import Rooms
from fhirbridge.matching import kept
from fhirbridge.outbox import contents, stuck, taken_back
from fhirbridge.outbox.contents import SHARED_LANE, Identity, Owner
from fhirbridge.outbox.enqueue import NOTHING_HELD
from fhirbridge.records import history
from fhirbridge.records.history import Chart
from fhirbridge.store import moment


class IncidentError(BridgeError):
    """A chart cannot be taken back, or let go again, as asked."""

    code = "E231"


@dataclass(slots=True, kw_only=True)
class Retracted:
    """What was done for a chart. Each resource is named with its destination; no PHI.

    `retracted` are queued; `replaced` by what other sessions say of them; `shared` and `left` stay:
    they belong to the site, or other sessions need them as they are; `by_hand`: a person's task.
    """

    patient: str
    records: list[str] = field(default_factory=list)  # newly marked
    deliveries: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)  # deliveries that will not go
    retracted: list[dict[str, str]] = field(default_factory=list)
    replaced: list[dict[str, str]] = field(default_factory=list)
    shared: list[dict[str, str]] = field(default_factory=list)
    left: list[dict[str, str]] = field(default_factory=list)
    by_hand: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """What may go again: record versions, and those of them that the mappings cannot translate."""

    patient: str
    records: tuple[str, ...]
    owed: tuple[str, ...]
    held: tuple[str, ...]


class Incident:
    """Takes sessions back from a chart, or lets them go again."""

    def __init__(self, rooms: Rooms, owing: Owing, actor: str) -> None:
        self._rooms = rooms
        self._owing = owing
        self._actor = actor

    def retract(self, tx: Connection, chart: Chart, reason: str) -> Retracted:
        """Mark the sessions, stop what waits, owe what takes back what went.

        What is marked already is left as it is. Raises IncidentError.
        """
        _refuse_silence(reason)
        rows = [row for row in history.chart(tx, chart) if not (row.retracted or row.purged_at)]
        done = Retracted(patient=chart.patient, records=[row.id for row in rows])
        at = moment.to_text(self._rooms.clock.now())
        history.mark(tx, done.records, retracted=at)
        self._learn_consents_anew(tx, chart.patient)
        settlement = self._rooms.settlement
        done.stopped = taken_back.stop(tx, settlement, done.records, actor=self._actor)
        newest = {row.session_key: row for row in sorted(rows, key=lambda row: row.version)}
        for destination in registry.every(tx):
            for row in newest.values():
                self._take_back(tx, row, destination, done)
            self._fall_back(tx, chart, newest, destination, done)
        for destination in registry.removed(tx):
            for row in newest.values():
                self._name_what_stays(tx, row, destination, done)
        self._note(tx, rows, Action.RECORD_RETRACTED, reason, done.deliveries)
        return done

    def lift(self, tx: Connection, chart: Chart, reason: str) -> Lifted:
        """Take the marks away and owe anew what each session says now. Raises IncidentError."""
        _refuse_silence(reason)
        rows = [row for row in history.chart(tx, chart) if row.retracted and not row.purged_at]
        for row in rows:
            current = history.current_of(tx, row.session_key)
            if current is not None and current.patient_key != chart.patient:
                raise IncidentError(
                    "a session of these is in another patient's chart by now",
                    hint="name the others with --record",
                )
        ids = [row.id for row in rows]
        # What takes them back and has not gone is not needed any more.
        taken_back.stop(tx, self._rooms.settlement, ids, actor=self._actor)
        history.mark(tx, ids, retracted="")
        self._learn_consents_anew(tx, chart.patient)
        self._note(tx, rows, Action.RECORD_LIFTED, reason, ())
        current_rows = [row for row in rows if row.state == "current"]
        good = {
            row.id: again.translate_lifted(tx, self._rooms, self._owing, row, actor=self._actor)
            for row in current_rows
        }
        return Lifted(
            patient=chart.patient,
            records=tuple(ids),
            owed=tuple(one for one, is_good in good.items() if is_good),
            held=tuple(one for one, is_good in good.items() if not is_good),
        )

    def _take_back(
        self, tx: Connection, row: Row[Any], destination: Destination, done: Retracted
    ) -> None:
        """Owe one destination what takes back one session; name what cannot be."""
        made = contents.of_session(tx, row.session_key, destination.overlay)
        lanes = {Identity(one.type, one.resource_id): one.lane for one in made}
        name = destination.name
        for one, lane in lanes.items():
            if lane == SHARED_LANE and contents.is_held(tx, name, one):
                done.shared.append(_named(name, one))
        are_theirs = kept.are_theirs(tx, destination, row.patient_key)
        touched = [
            one
            for one, lane in lanes.items()
            if lane == row.patient_key
            and contents.winner(tx, one, destination.overlay, lane) is None
            and not (are_theirs and one.type == "Patient")  # the EHR's own: it stays as it is
        ]
        document = history.content(tx, self._rooms.vault, row.id)["document"]
        owed = self._rooms.outbox.put(
            tx,
            destination=name,
            owner=self._owner(row, destination.overlay),
            touched=touched,
            shield=NOTHING_HELD,
            make_provenance=self._owing.provenance_of(tx, row, document, destination.overlay),
            wholly=True,
            actor=self._actor,
        )
        if owed.changes:
            done.deliveries.append(owed.delivery_id)
        for change in owed.changes:
            # Where nothing can be changed, a new note says it, and a person takes back the rest.
            by_hand = destination.only_creates and change.identity.type != NOTE_TYPE
            found = done.by_hand if by_hand else done.retracted
            found.append(_named(name, change.identity))
        # What was never there is nobody's task.
        done.by_hand += [
            _named(name, one) for one in owed.cannot_retract if _may_be_there(tx, name, one)
        ]
        settled = {*(change.identity for change in owed.changes), *owed.cannot_retract}
        done.left += [
            _named(name, one) for one in touched if one not in settled and _stands(tx, name, one)
        ]

    def _name_what_stays(
        self, tx: Connection, row: Row[Any], destination: Destination, done: Retracted
    ) -> None:
        """Name what nobody can take back from here: the destination was removed."""
        name = destination.name
        are_theirs = kept.are_theirs(tx, destination, row.patient_key)
        made = contents.of_session(tx, row.session_key, destination.overlay)
        own = {Identity(m.type, m.resource_id): None for m in made if m.lane == row.patient_key}
        for one in own:
            stays = contents.held_purpose(tx, name, one) != contents.RETRACTION
            is_ours = not (are_theirs and one.type == "Patient")
            if is_ours and stays and _may_be_there(tx, name, one):
                done.by_hand.append(_named(name, one))

    def _fall_back(
        self,
        tx: Connection,
        chart: Chart,
        newest: dict[str, Row[Any]],
        destination: Destination,
        done: Retracted,
    ) -> None:
        """Owe what other sessions of this patient say of what these said too."""
        overlay, name = destination.overlay, destination.name
        by_record: dict[str, list[Identity]] = {}
        for session_key in newest:
            for made in contents.of_session(tx, session_key, overlay):
                identity = Identity(made.type, made.resource_id)
                if made.lane != chart.patient:
                    continue
                best = contents.winner(tx, identity, overlay, chart.patient)
                if best is not None:
                    by_record.setdefault(best.record_id, []).append(identity)
        for record_id, identities in by_record.items():
            row = history.find(tx, record_id)
            assert row is not None
            touched = list(dict.fromkeys(identities))
            document = history.content(tx, self._rooms.vault, record_id)["document"]
            owed = self._rooms.outbox.put(
                tx,
                destination=name,
                owner=self._owner(row, overlay),
                touched=touched,
                shield=NOTHING_HELD,
                make_provenance=self._owing.provenance_of(tx, row, document, overlay),
                renew=True,  # what was to bring it may have been stopped
                actor=self._actor,
            )
            if owed.changes:
                done.deliveries.append(owed.delivery_id)
            changed = {change.identity for change in owed.changes}
            done.replaced += [_named(name, one) for one in touched if one in changed]
            done.left += [_named(name, one) for one in touched if one not in changed]

    def _learn_consents_anew(self, tx: Connection, patient_key: str) -> None:
        """Let count what the patient's own records say: another one's consent allows nothing."""
        rows = history.chart(tx, Chart(patient=patient_key))
        consent.forget(tx, patient_key, but=[row.id for row in rows if row.purged_at])
        for row in rows:
            if row.retracted or row.purged_at:
                continue
            document = history.content(tx, self._rooms.vault, row.id)["document"]
            if document.get("consents"):
                consent.remember(
                    tx,
                    patient_key=patient_key,
                    record_id=row.id,
                    rows=document["consents"],
                    recorded_at=document["recorded_at"],
                )
        stuck.release_consent(tx, self._rooms.settlement, patient_key)

    def _note(
        self,
        tx: Connection,
        rows: Sequence[Row[Any]],
        action: Action,
        reason: str,
        deliveries: Sequence[str],
    ) -> None:
        # A person's words may name a patient: they are sealed like a payload.
        for row in rows:
            entry = Entry(
                actor=self._actor,
                action=action,
                record_id=row.id,
                detail={"deliveries": list(deliveries)},
                payload_owner=row.id,
                payload=reason.encode(),
            )
            self._rooms.audit.append(tx, entry)

    def _owner(self, row: Row[Any], overlay: str) -> Owner:
        return Owner(
            record_id=row.id,
            patient_key=row.patient_key,
            set_digest=row.set_digest,
            overlay=overlay,
        )


def _may_be_there(tx: Connection, destination: str, identity: Identity) -> bool:
    return contents.is_held(tx, destination, identity) or taken_back.in_doubt(
        tx, destination, identity
    )


def _stands(tx: Connection, destination: str, identity: Identity) -> bool:
    """Say whether it stays there as content: another session said it, and takes nothing back."""
    return contents.held_purpose(tx, destination, identity) in (
        *contents.CONTRIBUTIONS,
        contents.OUTDATED,
    )


def _named(destination: str, identity: Identity) -> dict[str, str]:
    return {"destination": destination, "resource": f"{identity.type}/{identity.id}"}


def _refuse_silence(reason: str) -> None:
    if not reason.strip():
        raise IncidentError("this needs its reason", hint="give it with --reason")
