"""What operators drive of the journey: deliver, look ahead, stop and go, compare with an EHR."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fhirbridge.alerts.book import Alerts
from fhirbridge.audit import reasons
from fhirbridge.audit.log import Action, Entry
from fhirbridge.deliver import run, stopping, worker
from fhirbridge.deliver.loop import Loop
from fhirbridge.deliver.stopping import Resumed
from fhirbridge.destinations.pulls import Pull
from fhirbridge.destinations.registry import Destination
from fhirbridge.events import log as events
from fhirbridge.exporting import Exporting
from fhirbridge.intake import live
from fhirbridge.intake.incident import Lifted, Retracted
from fhirbridge.intake.replay import Replayed
from fhirbridge.matching import kept
from fhirbridge.outbox import cancel, pauses, stuck, tasks
from fhirbridge.outbox.cancel import Cancelled
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.outbox.selection import EVERYTHING, Selection
from fhirbridge.outbox.states import State
from fhirbridge.overview import incident
from fhirbridge.overview.dossier import Dossier, Packed
from fhirbridge.plan import plan, scope
from fhirbridge.plan.plan import Applied, Plan, Written
from fhirbridge.pull.desk import Desk
from fhirbridge.pull.rounds import Pace, Rounds
from fhirbridge.reconcile.patients import Patients
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.theirs import TheirsDesk
from fhirbridge.reconcile.watch import Watch
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.records import history
from fhirbridge.records.history import Chart
from fhirbridge.store import moment
from fhirbridge.store.errors import StoreBusyError
from fhirbridge.translate import identity
from fhirbridge.webhooks import sender
from fhirbridge.webhooks.desk import WebhookDesk

OnStep = Callable[[Any, str], None]


def _ignore(_lane: Any, _step: str) -> None:
    """Nobody watches the steps."""


def _always() -> bool:
    return True


class Operating(Exporting):
    """Everything about deliveries that a door may ask for."""

    # --- deliver ------------------------------------------------------------------------------

    def delivery_loop(self, *, go_on: worker.GoOn) -> Loop:
        """Return the loop that delivers in the background; start it after a fork.

        It takes nothing new once `go_on` says no.
        """
        self._reconcile.begin()
        return Loop(self._rooms(), go_on=go_on, watch=self.look_after)

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
        if self._reconcile.follow() and go_on():
            with self._store.read() as tx:
                rooms = self._rooms(scope.of(tx, chosen))
            more = self._deliver(rooms, on_step, go_on)
            swept = worker.Swept(
                settled=swept.settled + more.settled, broken=swept.broken + more.broken
            )
        if unfit is not None:
            raise unfit
        return swept

    def _deliver(self, rooms: run.Rooms, on_step: OnStep, go_on: worker.GoOn) -> worker.Swept:
        watched = worker.now_and_then(rooms, self.check_alerts, on_step)
        swept = worker.until_idle(rooms, on_step=watched, go_on=go_on)
        self.check_alerts()
        sender.number(self._webhook_rooms())
        return swept

    def look_after(self) -> None:
        """Do what is to be done twice a minute, whoever delivers: alerts, evidence, events."""
        self.check_alerts()
        self.keep_evidence()
        sender.number(self._webhook_rooms())

    def check_alerts(self) -> None:
        """Note which conditions began and ended, and tell each once."""
        parts = self._parts
        Alerts(self._store, self.clock, parts.rng, parts.tell, parts.disk).check()

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

    def cancellable(self, chosen: Selection) -> Cancelled:
        """Count what `cancel` would set aside now, and what goes on. Writes nothing."""
        with self._store.read() as tx:
            now = self.clock.now()
            count = len(cancel.queued(tx, chosen, now))
            return Cancelled(cancelled=count, under_way=cancel.under_way(tx, chosen, now))

    def cancel(self, chosen: Selection, *, actor: str) -> Cancelled:
        """Set aside what is queued; whoever is stopped in between goes on by calling it again."""
        with self._store.read() as tx:
            ids = cancel.queued(tx, chosen, self.clock.now())
        count = 0
        for first in range(0, len(ids), cancel.ROWS_AT_ONCE):
            part = ids[first : first + cancel.ROWS_AT_ONCE]
            with self._store.begin() as tx:
                now = self.clock.now()
                count += cancel.set_aside(tx, self._settlement, part, now, actor=actor)
        with self._store.read() as tx:
            left = cancel.under_way(tx, chosen, self.clock.now())
        return Cancelled(cancelled=count, under_way=left)

    def replay(self, chosen: Selection, *, parked: bool, actor: str) -> Replayed:
        """After a fix: send again what is parked, or (not `parked`) make records anew."""
        return self._intake.replay(chosen, parked=parked, actor=actor)

    def tasks(self, destination: str = "") -> list[dict[str, Any]]:
        """List what a person must put right, or take back, in an EHR. Opaque ids only."""
        with self._store.read() as tx:
            return tasks.tasks(tx, destination)

    def close_tasks(self, named: str, *, reason: str, actor: str) -> list[dict[str, Any]]:
        """Note that a person did in the EHR what a task, or those of a delivery, ask for.

        Raises TaskError, and ReasonError where the reason is no line of text.
        """
        reasons.check(reason)
        with self._store.begin() as tx:
            closed = tasks.close(tx, self._settlement, named)
            for one in closed:
                done = Entry(
                    actor=actor,
                    action=Action.DELIVERY_BY_HAND,
                    outcome=one["what"],
                    delivery_id=one["task"].partition("/")[0],
                    record_id=one["record"],
                    destination=one["destination"],
                    detail={"resource": one["resource"]},
                )
                self._reasons.append(tx, done, reason)
            return closed

    def pause(self, what: Stopped, *, actor: str) -> bool:
        """Begin no new request there; False where it was so already."""
        with self._store.begin() as tx:
            return stopping.pause(tx, self._audit, what, at=self.clock.now(), actor=actor)

    def resume(self, what: Stopped, *, actor: str) -> Resumed:
        """Let it go on."""
        with self._store.begin() as tx:
            resumed = stopping.resume(tx, self._audit, what, actor=actor)
            if resumed.changed:
                self._parts.waking.wake(tx, what.destination, what.patient)
            return resumed

    def pauses(self) -> list[dict[str, Any]]:
        """Return what operators have stopped."""
        with self._store.read() as tx:
            return pauses.every(tx)

    # --- incident -----------------------------------------------------------------------------

    def chart(self, named: str, records: Collection[str] = ()) -> Chart:
        """Find the chart, or sessions of it, that an operator means. Raises UnknownChartError.

        `named`: our name of the patient, our Patient's id, or an EHR's own Patient's id.
        """
        with self._store.read() as tx:
            return history.whose(tx, kept.named_there(tx, named) or named, records)

    def patient_named(self, patient_id: str) -> str:
        """Return our opaque name of the patient whom the clinic calls so."""
        return identity.opaque(self._parts.site, "patient", patient_id)

    def incident(self, chart: Chart, *, values: bool = False, actor: str) -> dict[str, Any]:
        """List all of a chart that went out or waits; with `values` its content. It is noted."""
        with self._store.begin() as tx:
            self._note_incident(tx, Action.INCIDENT_READ, chart, actor, values=values)
            found = incident.listing(tx, chart)
            return self._with_values(tx, found) if values else found

    def _with_values(self, tx: Any, found: dict[str, Any]) -> dict[str, Any]:
        sealed = self._contents.sealed(tx, [one["row"] for one in found["sent"]])
        kept = [one for one in sealed if one.wrapped is not None]  # what was purged has no key
        return {**found, "bodies": self._contents.opened(kept)}

    def retract_chart(self, chart: Chart, *, reason: str, actor: str) -> Retracted:
        """Take sessions back from a patient's chart wherever they went. Raises IncidentError."""
        return self._intake.retract(chart, reason=reason, actor=actor)

    def lift_chart(self, chart: Chart, *, reason: str, actor: str) -> Lifted:
        """Let what was taken back go again. Raises IncidentError."""
        return self._intake.lift(chart, reason=reason, actor=actor)

    def pack_incident(self, chart: Chart, target: Path, *, actor: str) -> Packed:
        """Write the evidence of a chart into a new folder; noted before and after. Holds PHI.

        Raises FolderError; then nothing is there.
        """
        with self._store.begin() as tx:
            self._note_incident(tx, Action.INCIDENT_PACKED, chart, actor, outcome="begun")
            signed = self._checkpoints.make(tx, self.clock.now())
        with self._store.read() as tx:
            dossier = Dossier(
                tx,
                chart,
                vault=self._parts.vault,
                contents=self._contents,
                audit=self._audit,
                signed=signed,
                signing=self._checkpoints,
            )
            packed = dossier.pack(target, made_at=moment.to_text(self.clock.now()))
        with self._store.begin() as tx:
            self._note_incident(
                tx, Action.INCIDENT_PACKED, chart, actor, outcome="done", **asdict(packed)
            )
        return packed

    def _note_incident(
        self,
        tx: Any,
        action: Action,
        chart: Chart,
        actor: str,
        *,
        outcome: str = "ok",
        **more: Any,
    ) -> None:
        detail = {"patient": chart.patient, "sessions": sorted(chart.sessions), **more}
        self._note(tx, actor, action, outcome=outcome, detail=detail)

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

    # --- what EHRs know -----------------------------------------------------------------------

    @property
    def pulls(self) -> Desk:
        """Return the desk at which EHRs are asked about patients, and what they said is shown."""
        return Desk(self._pull_rooms())

    def pull_rounds(self, *, pace: Pace) -> Rounds:
        """Return what asks every EHR in the background; start it after a fork."""
        return Rounds(self._pull_rooms(), pace=pace)

    def set_pull(self, name: str, chosen: Sequence[Pull], *, actor: str) -> Destination:
        """Choose what a destination is asked about patients; what it is not is erased."""
        return self.pulls.choose(name, chosen, actor=actor)

    def patient_ehr(self, patient: str, *, actor: str) -> dict[str, Any]:
        """Return what every EHR said of a patient; the reading is noted. Holds PHI."""
        return self.pulls.everything(patient, actor=actor)

    @property
    def webhooks(self) -> WebhookDesk:
        """Return the desk for who is told of events by webhooks, and what sends them."""
        return WebhookDesk(self._webhook_rooms())

    def events(self, after: int) -> events.Page:
        """Return what happened after an event; 0: from the beginning. No PHI.

        What cannot be numbered now, where nothing can be written, is told later.
        """
        with suppress(StoreBusyError):
            sender.number(self._webhook_rooms())
        with self._store.read() as tx:
            return events.after(tx, after)

    @property
    def theirs(self) -> TheirsDesk:
        """Return the desk for what else an EHR has itself, and the tables by which it is found."""
        return TheirsDesk(self._reconcile_rooms())
