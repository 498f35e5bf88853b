"""What a person, a door or the loop may ask of reconciling."""

import re
from typing import Any

from sqlalchemy import Connection

from fhirbridge import log
from fhirbridge.destinations import registry
from fhirbridge.facade import shelf
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile import findings, follow, lines, stops, weigh
from fhirbridge.reconcile.act import Hands, Rooms
from fhirbridge.reconcile.asking import NoAnswerError
from fhirbridge.reconcile.compare import Kind, Shown, Theirs
from fhirbridge.reconcile.findings import OPEN, DriftError, Findings, Found
from fhirbridge.reconcile.lines import Line
from fhirbridge.reconcile.run import ACTOR, Look, Report
from fhirbridge.reconcile.weigh import EVERY_TYPE, Choice
from fhirbridge.store import lineage

TYPE = re.compile(r"\*|[A-Z][A-Za-z]{1,40}")


class Reconcile:
    """Looks at EHRs, keeps what differs, and carries out what is chosen."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._kept = Findings(
            vault=rooms.vault, rng=rooms.rng, clock=rooms.clock, audit=rooms.audit
        )

    def run(
        self, name: str, *, full: bool = False, repair: bool = False, actor: str = ACTOR
    ) -> Report:
        """Look at one EHR and act on what differs. Raises NoAnswerError, DestinationError."""
        with self._rooms.store.read() as tx:
            destination = registry.get(tx, name)
            registry.check_is_server(destination)
        report = Look(self._rooms, self._kept, destination, actor=actor).run(
            full=full, repair=repair
        )
        report.deliveries += follow.look(self._rooms, name, actor=actor)
        return report

    def follow(self) -> bool:
        """Owe what is to follow a decision about what EHRs have themselves; say if anything is."""
        with self._rooms.store.read() as tx:
            names = [one.name for one in registry.every(tx) if one.theirs]
        made = [follow.look(self._rooms, name, actor=ACTOR) for name in names]
        return any(made)

    def begin(self) -> None:
        """Before anything is sent: notice that our own database went back, and stop if it did."""
        store = self._rooms.store
        with store.begin() as tx:
            is_ours = lineage.turn(tx, store, self._rooms.rng)
            if not is_ours:
                stops.stop_all(tx, stops.OWN)
                shelf.skip_ahead(tx)
            stops.enforce(tx)
        if not is_ours:
            log.get().error("database.went_back")

    def catch_up(self) -> None:
        """Compare whole what was stopped because our own database went back."""
        with self._rooms.store.read() as tx:
            states = {one.name: stops.state(tx, one.name).stop for one in registry.every(tx)}
        for name, why in states.items():
            if why == stops.OWN:
                try:
                    self.run(name, full=True)
                except NoAnswerError as error:
                    log.get().error("reconcile.unanswered", destination=name, code=error.code)

    def listed(self, destination: str | None, *, every: bool) -> list[dict[str, Any]]:
        """Return findings: opaque ids and element names. At a removed one nothing waits."""
        with self._rooms.store.read() as tx:
            found = findings.listed(tx, destination, every=every)
            there = {one.name for one in registry.every(tx)}
            return [one for one in found if every or one["destination"] in there]

    def shown(self, row_id: str, *, actor: str) -> dict[str, Any]:
        """Return one finding with both sides, PHI; the reading is noted. Raises DriftError."""
        with self._rooms.store.begin() as tx:
            row = self._kept.row(tx, row_id)
            self._kept.note_read(tx, row, actor)
            named = {name: getattr(row, name) for name in (*findings.SHOWN, *findings.SHOWN_TOO)}
            return {**named, "elements": row.elements.split(), **self._kept.sides(tx, row)}

    def decide(self, row_id: str, choice: Choice, *, reason: str, actor: str) -> None:
        """Settle one finding: ours is sent again, or theirs stays. Raises DriftError."""
        with self._rooms.store.begin() as tx:
            row = self._kept.row(tx, row_id)
            _refuse(row, choice, reason)
            identity = Identity(row.type, row.resource_id)
            if lines.under_way(tx, row.destination, identity):
                raise DriftError("a request that carries it is under way", hint="try again")
            hands = Hands(self._rooms, actor=actor)
            if choice is Choice.THEIRS:
                hands.theirs(tx, row.destination, identity)
            elif row.kind == Kind.MERGED:
                hands.release_patient(tx, row.destination, row.lane)
            else:
                body = self._kept.sides(tx, row)["theirs"]
                there = Theirs(shown=Shown.THERE, version=row.ehr_version, body=body)
                line = _line(tx, row.destination, identity)
                found = Found(line=line, kind=Kind(row.kind), theirs=there)
                hands.ours(tx, row.destination, [found])
            self._kept.settle(tx, row, choice, reason=reason, actor=actor)

    def policies(self, name: str) -> dict[str, str]:
        """Return what was chosen beforehand for a destination, by type."""
        with self._rooms.store.read() as tx:
            registry.get(tx, name)
            return findings.policies(tx, name)

    def set_policy(self, name: str, kind: str, choice: Choice, *, actor: str) -> None:
        """Choose beforehand for edits and deletions of one type, or `*`. Raises DriftError."""
        if not TYPE.fullmatch(kind):
            raise DriftError(
                "a policy is for a FHIR type", hint=f"such as Observation, or {EVERY_TYPE}"
            )
        with self._rooms.store.begin() as tx:
            registry.get(tx, name)
            self._kept.set_policy(tx, name, kind, choice, actor)


def _line(tx: Connection, destination: str, identity: Identity) -> Line:
    known = lines.find(tx, destination, identity)
    if known is None:
        where = registry.get(tx, destination)
        waiting = [one for one in lines.suspects(tx, where) if one.identity == identity]
        known = waiting[0] if waiting else None
    if known is None:
        raise DriftError(
            "nothing of it is known or owed any more", hint="run fhirbridge reconcile again"
        )
    return known


def _refuse(row: Any, choice: Choice, reason: str) -> None:
    if row.state != OPEN:
        raise DriftError("it does not wait for anybody any more", hint="fhirbridge drift list")
    if not reason.strip():
        raise DriftError("a choice needs its reason", hint="give it with --reason")
    kind = Kind(row.kind)
    if not weigh.may_settle(kind, choice):
        raise DriftError(
            f"what was found ({kind.value}) cannot be settled so", hint=HINTS.get(kind, "")
        )


HINTS = {
    Kind.LEFT: "remove it in the EHR, or choose --theirs to leave it there",
    Kind.DUPLICATED: "remove the second one in the EHR, or choose --theirs to leave both",
    Kind.MERGED: "have it undone in the EHR, or choose --ours to write on under our patient",
}
