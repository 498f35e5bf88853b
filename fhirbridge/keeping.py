"""How long charts are kept: what would go, its going, and legal holds. Holds no rules."""

from typing import Any

from fhirbridge.audit.log import Action
from fhirbridge.records.history import Chart
from fhirbridge.removing import Removing
from fhirbridge.retention import purge
from fhirbridge.retention.holds import Holds, Word
from fhirbridge.retention.purge import Plan, Purged
from fhirbridge.store import moment


class Keeping(Removing):
    """What a door may ask for about retention."""

    def retention_plan(self, days: int) -> Plan:
        """Say what a purge would erase now, and what stays although its time is over. No PHI."""
        with self._store.read() as tx:
            return purge.plan(tx, self.clock.now(), days)

    def purge(self, days: int, *, actor: str) -> Purged:
        """Erase for good every chart of which nothing changed for `days`, and may go.

        One chart a commit: whoever is stopped in between goes on by calling it again.
        """
        rooms = purge.Rooms(
            store=self._store,
            vault=self._parts.vault,
            clock=self.clock,
            audit=self._audit,
            shelf=self._shelf,
        )
        return purge.apply(rooms, days, actor=actor)

    def hold(self, chart: Chart, word: Word, *, actor: str) -> list[str]:
        """Keep a chart whatever its time; return the ids of the holds. Raises HoldError."""
        at = moment.to_text(self.clock.now())
        with self._store.begin() as tx:
            return self._holds.place(tx, chart, word, at=at, actor=actor)

    def lift_hold(self, hold_id: str, word: Word, *, actor: str) -> None:
        """End one hold. Raises HoldError."""
        at = moment.to_text(self.clock.now())
        with self._store.begin() as tx:
            self._holds.lift(tx, hold_id, word, at=at, actor=actor)

    def holds(self, *, words: bool = False, actor: str) -> list[dict[str, Any]]:
        """Return every hold; with `words` why and by whom, and that is noted."""
        with self._store.begin() as tx:
            if words:
                self._note(tx, actor, Action.HOLDS_READ)
            return self._holds.every(tx, words=words)

    @property
    def _holds(self) -> Holds:
        return Holds(audit=self._audit, vault=self._parts.vault, rng=self._parts.rng)
