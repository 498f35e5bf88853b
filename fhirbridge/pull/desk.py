"""What a person or a door may ask of pulling."""

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection, select

from fhirbridge.audit.log import Action, Entry
from fhirbridge.destinations import registry
from fhirbridge.destinations.pulls import Pull
from fhirbridge.destinations.registry import Destination
from fhirbridge.errors import BridgeError
from fhirbridge.pull import charts, rounds, shown
from fhirbridge.pull.run import Pulled, Puller
from fhirbridge.pull.views import Views
from fhirbridge.reconcile.act import Rooms
from fhirbridge.records import history
from fhirbridge.store.sealed import ShreddedError
from fhirbridge.store.tables import record


class UnknownPatientError(BridgeError):
    """No record is of the patient who was named."""

    code = "E442"
    http_status = HTTPStatus.NOT_FOUND


class Desk:
    """Chooses what EHRs are asked, asks them, shows what they said."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._puller = Puller(rooms)
        self._views = Views(vault=rooms.vault, rng=rooms.rng, clock=rooms.clock)

    def choose(self, name: str, chosen: Sequence[Pull], *, actor: str) -> Destination:
        """Choose what a destination is asked; what was read of other types is erased."""
        with self._rooms.store.begin() as tx:
            registry.get(tx, name)
            registry.set_pull(tx, name, chosen)
            where = registry.get(tx, name)
            erased = self._puller.keep_only_chosen(tx, where)
            detail = {"pull": [one.value for one in chosen], "erased": erased}
            self._note(tx, actor, Action.DESTINATION_PULL, destination=name, detail=detail)
            return where

    def pull(self, lane: str = "", *, destination: str = "", days: int, actor: str) -> list[Pulled]:
        """Ask now about one patient, or all with a record of the last `days`.

        At one destination, or at all that are to be asked. Raises UnknownPatientError,
        DestinationError.
        """
        self._puller.expire()
        since = self._rooms.clock.now() - timedelta(days=days)
        with self._rooms.store.read() as tx:
            known = [registry.get(tx, destination)] if destination else registry.every(tx)
            if lane:
                _check(tx, lane)
            lanes = [lane] if lane else rounds.patients(tx, since=since)
        places = [one.name for one in known if one.pull or destination]
        return [self._puller.pull(name, one, actor=actor) for name in places for one in lanes]

    def shown(self, name: str, lane: str, *, values: bool, actor: str) -> dict[str, Any]:
        """Show what one destination said of a patient; with `values`, which is noted, all of it."""
        with self._rooms.store.begin() as tx:
            where = registry.get(tx, name)
            _check(tx, lane)
            if values:
                self._note(tx, actor, Action.EHR_READ, destination=name, detail={"patient": lane})
            return self._at(tx, where, lane, values=values)

    def everything(self, lane: str, *, actor: str) -> dict[str, Any]:
        """Show what every destination said of a patient: PHI, and the reading is noted.

        Raises UnknownPatientError; that is noted as well.
        """
        with self._rooms.store.begin() as tx:
            known = charts.is_known(tx, lane)
            detail = {"patient": lane} if known else {}
            outcome = "ok" if known else "not found"
            self._note(tx, actor, Action.EHR_READ, outcome=outcome, detail=detail)
            found = {
                "patient": lane,
                "clinic_patient": self._clinics_name(tx, lane) if known else "",
                "sessions": shown.sessions(tx, lane),
                "destinations": [
                    self._at(tx, one, lane, values=True) for one in registry.every(tx)
                ],
            }
        if not known:
            raise _unknown()
        return found

    def _at(self, tx: Connection, where: Destination, lane: str, *, values: bool) -> dict[str, Any]:
        now = self._rooms.clock.now()
        return shown.at(tx, self._views, where, lane, now=now, values=values)

    def _clinics_name(self, tx: Connection, lane: str) -> str:
        """Return how the clinic's newest record calls the patient; PHI."""
        newest = (
            select(record.c.id)
            .where(record.c.patient_key == lane)
            .order_by(record.c.in_error, record.c.recorded_at.desc(), record.c.version.desc())
            .limit(1)
        )
        try:
            said = history.content(tx, self._rooms.vault, tx.scalars(newest).one())["document"]
        except ShreddedError:
            return ""
        patient = said.get("patient")
        return str(patient.get("id", "")) if isinstance(patient, dict) else ""

    def _note(self, tx: Connection, actor: str, action: Action, **more: Any) -> None:
        self._rooms.audit.append(tx, Entry(actor=actor, action=action, **more))


def _check(tx: Connection, lane: str) -> None:
    if not charts.is_known(tx, lane):
        raise _unknown()


def _unknown() -> UnknownPatientError:
    return UnknownPatientError(
        "no record is of this patient",
        hint="take the id from an event, from fhirbridge patient list or from sync status",
    )
