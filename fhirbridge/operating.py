"""What operators drive of the journey: deliver, look ahead, stop and go, compare with an EHR."""

from collections.abc import Callable, Collection
from typing import Any

from fhirbridge.alerts.book import Alerts
from fhirbridge.deliver import run, stopping, worker
from fhirbridge.deliver.stopping import Resumed
from fhirbridge.house import House
from fhirbridge.intake import live
from fhirbridge.intake.replay import Replayed
from fhirbridge.outbox import pauses, stuck
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.outbox.selection import EVERYTHING, Selection
from fhirbridge.outbox.states import State
from fhirbridge.plan import plan, scope
from fhirbridge.plan.plan import Applied, Plan, Written
from fhirbridge.reconcile.patients import Patients
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.watch import Watch
from fhirbridge.reconcile.weigh import Choice

OnStep = Callable[[Any, str], None]


def _ignore(_lane: Any, _step: str) -> None:
    """Nobody watches the steps."""


def _always() -> bool:
    return True


class Operating(House):
    """Everything about deliveries that a door may ask for."""

    # --- deliver ------------------------------------------------------------------------------

    def delivery_loop(self, *, go_on: worker.GoOn) -> worker.Loop:
        """Return the loop that delivers in the background; start it after a fork.

        It takes nothing new once `go_on` says no.
        """
        self._reconcile.begin()
        return worker.Loop(self._rooms(), go_on=go_on, watch=self.check_alerts)

    def sync(
        self,
        chosen: Selection = EVERYTHING,
        *,
        on_step: OnStep = _ignore,
        go_on: worker.GoOn = _always,
    ) -> worker.Swept:
        """Translate again what mended mappings can translate, then deliver all that is due.

        Raises NotLiveError where the live mappings translate nothing: after what is due was sent.
        """
        unfit = None
        try:
            self._intake.translate_held()
        except live.NotLiveError as error:
            unfit = error
        self._intake.expire_quarantine()
        self._reconcile.begin()
        self._reconcile.catch_up()
        with self._store.read() as tx:
            rooms = self._rooms(scope.of(tx, chosen))
        swept = self._deliver(rooms, on_step, go_on)
        if unfit is not None:
            raise unfit
        return swept

    def _deliver(self, rooms: run.Rooms, on_step: OnStep, go_on: worker.GoOn) -> worker.Swept:
        watched = worker.now_and_then(rooms, self.check_alerts, on_step)
        swept = worker.until_idle(rooms, on_step=watched, go_on=go_on)
        self.check_alerts()
        return swept

    def check_alerts(self) -> None:
        """Note which conditions began and ended, and tell each once."""
        Alerts(self._store, self.clock, self._parts.rng, self._parts.tell).check()

    def plan(self, chosen: Selection = EVERYTHING, *, shown_to: str = "") -> Plan:
        """Say what a sync would do; ask no EHR. Who is `shown_to` sees values: that is noted."""
        with self._store.read() as tx:
            made = plan.make(tx, self._contents, chosen, now=self.clock.now())
        if shown_to:
            with self._store.begin() as tx:
                plan.note_reading(tx, self._audit, made, actor=shown_to)
        return made

    def apply(
        self,
        written: Written,
        *,
        actor: str,
        on_step: OnStep = _ignore,
        go_on: worker.GoOn = _always,
    ) -> Applied:
        """Do a plan or the rest of it, and nothing else. Raises StalePlanError."""
        self._reconcile.begin()
        with self._store.begin() as tx:
            begun = plan.begin(tx, self._audit, written, at=self.clock.now(), actor=actor)
        swept = self._deliver(self._rooms(begun.left), on_step, go_on)
        with self._store.read() as tx:
            return plan.applied(tx, written, begun, settled=swept.settled)

    def put_back(self, chosen: Selection, states: Collection[State], *, actor: str) -> int:
        """Put held or parked deliveries back in line; return how many."""
        with self._store.begin() as tx:
            ids = [row.id for row in stuck.find(tx, chosen, states)]
            return stuck.put_back(tx, self._settlement, ids, actor=actor)

    def replay(self, chosen: Selection, *, parked: bool, actor: str) -> Replayed:
        """After a fix: send again what is parked, or (not `parked`) make records anew."""
        return self._intake.replay(chosen, parked=parked, actor=actor)

    def pause(self, what: Stopped, *, actor: str) -> bool:
        """Begin no new request there; False where it was so already."""
        with self._store.begin() as tx:
            return stopping.pause(tx, self._audit, what, at=self.clock.now(), actor=actor)

    def resume(self, what: Stopped, *, actor: str) -> Resumed:
        """Let it go on."""
        with self._store.begin() as tx:
            return stopping.resume(tx, self._audit, what, actor=actor)

    def pauses(self) -> list[dict[str, Any]]:
        """Return what operators have stopped."""
        with self._store.read() as tx:
            return pauses.every(tx)

    # --- reconcile ----------------------------------------------------------------------------

    def watch(self, *, seconds: float) -> Watch:
        """Return what looks at every EHR in the background; start it after a fork."""
        return Watch(self._reconcile_rooms(), seconds=seconds)

    def reconcile(
        self, destination: str, *, full: bool = False, repair: bool = False, actor: str
    ) -> Report:
        """Compare what an EHR holds of ours with the ledger; owe again what it lost.

        `repair`: also where so much is lost that it looks like a restored database.
        """
        return self._reconcile.run(destination, full=full, repair=repair, actor=actor)

    def drift(self, destination: str | None = None, *, every: bool = False) -> list[dict[str, Any]]:
        """Return what differs and waits for a person, or with `every` also what is settled."""
        return self._reconcile.listed(destination, every=every)

    def drift_sides(self, drift_id: str, *, actor: str) -> dict[str, Any]:
        """Return one finding with both sides; the reading is noted. Holds PHI."""
        return self._reconcile.shown(drift_id, actor=actor)

    def decide(self, drift_id: str, choice: Choice, *, reason: str, actor: str) -> None:
        """Settle one finding: ours goes once more, or theirs stays. Raises DriftError."""
        self._reconcile.decide(drift_id, choice, reason=reason, actor=actor)

    def drift_policies(self, destination: str) -> dict[str, str]:
        """Return what was chosen beforehand for edits and deletions, by type."""
        return self._reconcile.policies(destination)

    def set_drift_policy(self, destination: str, kind: str, choice: Choice, *, actor: str) -> None:
        """Choose beforehand for one type, or for `*`."""
        self._reconcile.set_policy(destination, kind, choice, actor=actor)

    # --- patients -----------------------------------------------------------------------------

    @property
    def patients(self) -> Patients:
        """Return the desk at which persons decide which of an EHR's patients one of ours is."""
        return Patients(self._reconcile_rooms())
