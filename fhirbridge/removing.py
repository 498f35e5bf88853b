"""How a destination comes to its end, and what persons said of it. Holds no rules."""

from typing import Any

from fhirbridge.audit import reasons
from fhirbridge.audit.log import Action, Entry
from fhirbridge.deliver import removal
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.receiving import Receiving
from fhirbridge.reconcile import stops
from fhirbridge.signin.keys import Stage


class Removing(Receiving):
    """What a door may ask for at the end of a destination, and of its reasons."""

    def remove_destination(self, name: str, *, give_up: str = "", actor: str) -> dict[str, int]:
        """Send nothing there any more; return what was owed and was given up, by state.

        Ledger, evidence and the name stay. Whoever is stopped in between goes on by calling it
        again. Raises DestinationError where something is under way, or owed and not given up.
        """
        reasons.check(give_up)
        with self._store.begin() as tx:
            left = removal.check(tx, name, self.clock.now(), gives_up=bool(give_up))
            removal.begin(tx, name)
            if not left:
                self._end(tx, name, left, give_up, actor)
                return left
        is_over = False
        while not is_over:
            with self._store.begin() as tx:
                # What came in meanwhile is given up as well.
                is_over = removal.give_up(tx, self._settlement, name, actor=actor) == 0
                if is_over:
                    self._end(tx, name, left, give_up, actor)
        return left

    def _end(self, tx: Any, name: str, left: dict[str, int], give_up: str, actor: str) -> None:
        for key in self._keys.every(tx, name):
            if key.stage is not Stage.RETIRED:
                retired = self._keys.retire(tx, name, key.kid, at_once=True)
                self._note_key(tx, retired, actor)
        self._book.forget(tx, name)
        stops.forget(tx, name)
        self._shelf.clear(tx, name, at=self.clock.now())
        removal.end(tx, name, at=self.clock.now())
        entry = Entry(
            actor=actor,
            action=Action.DESTINATION_REMOVED,
            destination=name,
            detail={"given_up": left},
        )
        self._reasons.append(tx, entry, give_up)

    def removed_destinations(self) -> list[Destination]:
        """Return the destinations that were removed, by name."""
        with self._store.read() as tx:
            return registry.removed(tx)

    def reasons(self, name: str, *, actor: str) -> list[dict[str, Any]]:
        """Return what persons gave as reasons about a destination; the reading is noted."""
        with self._store.begin() as tx:
            if registry.ever(tx, name) is None:
                registry.get(tx, name)
            self._note(tx, actor, Action.REASONS_READ, destination=name)
            return self._reasons.read(tx, name)
