"""What an event without a record asks for, done in the transaction that is given.

No resource changes its chart by an event: what is doubtful waits for a person.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, insert, select

from fhirbridge.audit.log import Action, Entry
from fhirbridge.consent import state as consent
from fhirbridge.consent.state import EVERY_DESTINATION, Withdrawal
from fhirbridge.errors import BridgeError
from fhirbridge.intake.incident import Incident
from fhirbridge.intake.owing import Owing
from fhirbridge.intake.rooms import Rooms
from fhirbridge.outbox import pauses
from fhirbridge.outbox.pauses import ANY, Stopped
from fhirbridge.records import history
from fhirbridge.records.events import Event, EventType
from fhirbridge.records.history import Chart
from fhirbridge.rng import new_id
from fhirbridge.store import moment
from fhirbridge.store.hook_tables import patient_merge
from fhirbridge.store.tables import pause, record
from fhirbridge.translate import identity


class NotKnownYetError(BridgeError):
    """The event is about a session or a patient of whom no record has come."""

    code = "E241"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class SamePatientError(BridgeError):
    """A patient is said to be one with itself."""

    code = "E242"
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class Hearing:
    """One event of one sender."""

    def __init__(self, tx: Connection, rooms: Rooms, owing: Owing, actor: str) -> None:
        self._tx = tx
        self._rooms = rooms
        self._owing = owing
        self._actor = actor

    def hear(self, event: Event) -> str:
        """Do what it asks for; return the state that this leaves.

        Raises NotKnownYetError or SamePatientError; then the caller rolls back.
        """
        does: Mapping[EventType, Callable[[dict[str, Any]], str]] = {
            EventType.RETRACTED: self._retracted,
            EventType.MERGED: self._merged,
            EventType.CONSENT_WITHDRAWN: self._withdrawn,
        }
        return does[event.type](event.data)

    def _retracted(self, data: dict[str, Any]) -> str:
        """Take a session back wherever it went; a later version of it waits for a person."""
        session_key = identity.opaque(self._rooms.site, "session", data["session_id"])
        patient, _ = history.patient_of(self._tx, session_key)
        if not patient:
            raise _unknown("/data/session_id", "session")
        chart = Chart(patient=patient, sessions=frozenset({session_key}))
        Incident(self._rooms, self._owing, self._actor).retract(self._tx, chart, data["reason"])
        return "retracted"

    def _merged(self, data: dict[str, Any]) -> str:
        """Stop both patients at every destination until a person has looked."""
        survivor, merged = (self._patient(data[one]) for one in ("patient_id", "merged_patient_id"))
        if survivor == merged:
            raise SamePatientError(
                "/data/merged_patient_id: is the same as patient_id",
                hint="name the patient whose id is no longer used",
            )
        if not any(self._newest(one) for one in (survivor, merged)):
            raise _unknown("/data", "patient")
        now = self._rooms.clock.now()
        for patient in (survivor, merged):
            pauses.hold(self._tx, Stopped(ANY, patient), at=now, actor=self._actor)
        made = new_id(self._rooms.rng)
        told = {"survivor": survivor, "merged": merged}
        row = {"id": made, **told, "at": moment.to_text(now), "actor": self._actor}
        self._tx.execute(insert(patient_merge).values(row))
        self._note(Action.PATIENT_MERGE_TOLD, {"merge": made, **told})
        return "held"

    def _withdrawn(self, data: dict[str, Any]) -> str:
        """Let the consent end now; the record that says so may come later."""
        patient = self._patient(data["patient_id"])
        record_id = self._newest(patient)
        if not record_id:
            raise _unknown("/data/patient_id", "patient")
        said = Withdrawal(
            id=new_id(self._rooms.rng),
            patient_key=patient,
            kind=data["kind"],
            recipient=data.get("recipient", EVERY_DESTINATION),
            withdrawn_at=data["withdrawn_at"],
            record_id=record_id,
        )
        consent.withdraw(self._tx, said)
        self._note(Action.CONSENT_WITHDRAWN, {"kind": said.kind}, record_id=record_id)
        return "withdrawn"

    def _patient(self, patient_id: str) -> str:
        return identity.opaque(self._rooms.site, "patient", patient_id)

    def _newest(self, patient_key: str) -> str:
        """Return a record of the patient that still is in his chart, or ""."""
        chosen = (
            select(record.c.id)
            .where(record.c.patient_key == patient_key)
            .order_by(record.c.retracted != "", record.c.received_at.desc(), record.c.id)
        )
        return self._tx.scalar(chosen.limit(1)) or ""

    def _note(self, action: Action, detail: dict[str, Any], *, record_id: str = "") -> None:
        entry = Entry(actor=self._actor, action=action, record_id=record_id, detail=detail)
        self._rooms.audit.append(self._tx, entry)


def merges_waiting(tx: Connection) -> list[str]:
    """Return the ids of the merges of which a patient still is stopped."""
    stopped = (
        select(pause.c.at)
        .where(
            pause.c.destination == ANY,
            pause.c.lane.in_((patient_merge.c.survivor, patient_merge.c.merged)),
        )
        .exists()
    )
    chosen = select(patient_merge.c.id).where(stopped)
    return list(tx.scalars(chosen.order_by(patient_merge.c.at, patient_merge.c.id)))


def _unknown(pointer: str, what: str) -> NotKnownYetError:
    return NotKnownYetError(
        f"{pointer}: no record of this {what} has come yet; nothing was done",
        hint="send the record first, then this message again",
    )
