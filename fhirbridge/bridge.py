"""The whole journey on one page: accept, translate, owe, deliver. Builds rooms, holds no rules."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fhirbridge.access import tokens
from fhirbridge.access.tokens import Principal, Role
from fhirbridge.alerts.book import Alerts, Tell
from fhirbridge.alerts.command import nobody
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import run, traffic, worker
from fhirbridge.deliver.traffic import Meter
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import NO_LIMITS, Destination, LimitChange, Limits
from fhirbridge.ehr import probe
from fhirbridge.ehr.rest import Ehr
from fhirbridge.intake import live, reload, stock
from fhirbridge.intake.accept import Intake, Receipt
from fhirbridge.intake.live import LiveSet, Standing
from fhirbridge.intake.reload import Reloaded
from fhirbridge.intake.rooms import Quarantine
from fhirbridge.intake.rooms import Rooms as IntakeRooms
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.outbox import contents, stuck
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.enqueue import Outbox
from fhirbridge.outbox.settle import Settlement
from fhirbridge.overview import record as record_view
from fhirbridge.overview import status
from fhirbridge.reconcile.act import Rooms as ReconcileRooms
from fhirbridge.reconcile.desk import Reconcile
from fhirbridge.reconcile.run import Report
from fhirbridge.reconcile.watch import Watch
from fhirbridge.reconcile.weigh import Choice
from fhirbridge.records.schema import CheckedRecord
from fhirbridge.records.source import SourceField
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault
from fhirbridge.translate.mapping_set import Files
from fhirbridge.translate.values import Site, Translation

OnStep = Callable[[Any, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the outside gives: a database, keys, time, chance, a way to mappings and to each EHR."""

    store: Store
    vault: Vault
    clock: Clock
    rng: Rng
    site: Site
    source: Callable[[], SourceField]
    live: LiveSet
    ehr_for: Callable[[Destination], Ehr]
    quarantine: Quarantine
    crew: worker.Crew = worker.in_turn
    tell: Tell = nobody


def _ignore(_lane: Any, _step: str) -> None:
    """Nobody watches the steps."""


class Bridge:
    """Everything a door may ask for."""

    def __init__(self, parts: Parts) -> None:
        """Build the rooms; nothing is opened, read or sent yet."""
        self.clock = parts.clock
        self._parts = parts
        self._store = parts.store
        self._audit = EvidenceLog(clock=parts.clock, rng=parts.rng, vault=parts.vault)
        self._contents = Contents(vault=parts.vault, rng=parts.rng)
        self._settlement = Settlement(audit=self._audit, clock=parts.clock)
        self._outbox = Outbox(
            contents=self._contents, audit=self._audit, clock=parts.clock, rng=parts.rng
        )
        self._known_intake: Intake | None = None

    @property
    def _intake(self) -> Intake:
        if self._known_intake is None:
            self._known_intake = Intake(self._intake_rooms(), self._parts.live)
        return self._known_intake

    def _intake_rooms(self) -> IntakeRooms:
        parts = self._parts
        return IntakeRooms(
            store=parts.store,
            vault=parts.vault,
            clock=parts.clock,
            rng=parts.rng,
            site=parts.site,
            audit=self._audit,
            contents=self._contents,
            outbox=self._outbox,
            settlement=self._settlement,
            quarantine=parts.quarantine,
        )

    # --- accept -------------------------------------------------------------------------------

    def preview(self, raw: bytes, *, overlay: str = "") -> tuple[CheckedRecord, Translation]:
        """Check and translate without storing anything."""
        return self._intake.preview(raw, overlay=overlay)

    def accept(self, raw: bytes, *, actor: str, backfill: bool = False) -> Receipt:
        """Take in one session record; when this returns, delivery is owed."""
        return self._intake.accept(raw, actor=actor, backfill=backfill)

    def accept_stock(self, raw: bytes, *, actor: str) -> StockReceipt:
        """Take in one stock document; nothing of it is delivered."""
        return stock.accept(self._intake_rooms(), raw, actor=actor)

    def warm_up(self) -> str:
        """Compile what is live; return its digest. Raises NotLiveError."""
        return self._intake.warm_up()

    # --- mappings -----------------------------------------------------------------------------

    def reload_mappings(self, folder: Path, *, actor: str) -> Reloaded:
        """Make a folder of mappings live where it compiles and its cases hold; else change nothing.

        Raises MappingError or RefusedMappingsError.
        """
        return reload.reload(self._intake_rooms(), folder, self._parts.source(), actor=actor)

    def start_mappings(self, files: Files, *, actor: str) -> None:
        """Make the first set live, which was compiled before."""
        with self._store.begin() as tx:
            reload.start(tx, self._intake_rooms(), files, actor=actor)

    def mappings(self) -> Standing:
        """Return what is live and what was refused since. Raises NotLiveError."""
        with self._store.read() as tx:
            return live.standing(tx)

    def mapping_files(self, digest: str) -> Files | None:
        """Return the files of a set that is or was live."""
        with self._store.read() as tx:
            return live.find(tx, digest)

    # --- deliver ------------------------------------------------------------------------------

    def delivery_loop(self, *, go_on: worker.GoOn) -> worker.Loop:
        """Return the loop that delivers in the background; start it after a fork.

        It takes nothing new once `go_on` says no.
        """
        self._reconcile.begin()
        return worker.Loop(self._rooms(), go_on=go_on, watch=self.check_alerts)

    def sync(self, *, on_step: OnStep = _ignore) -> worker.Swept:
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
        rooms = self._rooms()
        watched = worker.now_and_then(rooms, self.check_alerts, on_step)
        swept = worker.until_idle(rooms, on_step=watched)
        self.check_alerts()
        if unfit is not None:
            raise unfit
        return swept

    def check_alerts(self) -> None:
        """Note which conditions began and ended, and tell each once."""
        Alerts(self._store, self.clock, self._parts.rng, self._parts.tell).check()

    def retry(self, delivery_id: str | None, *, actor: str) -> int:
        """Put one stuck delivery back in line, or (None) every parked one."""
        with self._store.begin() as tx:
            return stuck.retry(tx, self._settlement, delivery_id=delivery_id, actor=actor)

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

    # --- destinations -------------------------------------------------------------------------

    def add_destination(
        self,
        *,
        name: str,
        base_url: str,
        requires_consent: bool,
        test_server: bool,
        networks: Sequence[str],
        actor: str,
        overlay: str = "",
        limits: Limits = NO_LIMITS,
    ) -> Destination:
        """Look at the server, store it, owe it every current record, prove it where allowed."""
        new = Destination(
            name=name,
            base_url=registry.checked_url(base_url),
            mode=registry.UNPROVEN,
            traits={},
            requires_consent=requires_consent,
            test_server=test_server,
            overlay=overlay,
            networks=registry.checked_networks(networks),
            paused=registry.NOT_PROVEN,
            limits=limits,
        )
        probe.look(self._parts.ehr_for(new))
        with self._store.begin() as tx:
            registry.add(tx, new, at=moment.to_text(self.clock.now()))
            detail = {
                "test_server": test_server,
                "requires_consent": requires_consent,
                "overlay": overlay,
            }
            self._audit.append(
                tx,
                Entry(
                    actor=actor, action=Action.DESTINATION_ADDED, destination=name, detail=detail
                ),
            )
            self._intake.owe_backlog(tx, name)
        return self.probe_destination(name, actor=actor)

    def probe_destination(self, name: str, *, actor: str) -> Destination:
        """Find out what the server honours; write only to a sandbox or a named test server."""
        with self._store.read() as tx:
            known = registry.get(tx, name)
        ehr = self._parts.ehr_for(known)
        traits = probe.look(ehr)
        if traits.sandbox or known.test_server:
            traits = probe.try_writes(
                ehr, traits, f"fhirbridge-probe-{new_id(self._parts.rng)[:12]}"
            )
        with self._store.begin() as tx:
            registry.note_probe(
                tx, name, traits=asdict(traits), proven=traits.can_transact, missing=traits.missing
            )
            outcome = "proven" if traits.can_transact else "unproven"
            self._audit.append(
                tx,
                Entry(
                    actor=actor, action=Action.DESTINATION_PROBED, outcome=outcome, destination=name
                ),
            )
            return registry.get(tx, name)

    def limit_destination(self, name: str, change: LimitChange, *, actor: str) -> Destination:
        """Set how much a destination is asked at most; what `change` leaves out stays."""
        with self._store.begin() as tx:
            return traffic.limit(tx, self._audit, name, change, actor=actor)

    def destinations(self) -> list[Destination]:
        """Return all destinations by name."""
        with self._store.read() as tx:
            return registry.every(tx)

    # --- look ---------------------------------------------------------------------------------

    def record(self, record_id: str, *, actor: str) -> dict[str, Any] | None:
        """Return one record version with all that became of it; the reading is noted. Holds PHI."""
        with self._store.begin() as tx:
            found = record_view.view(
                tx, vault=self._parts.vault, body=self._contents.body, record_id=record_id
            )
            outcome = "ok" if found else "not found"
            known = record_id if found else ""
            self._audit.append(
                tx, Entry(actor=actor, action=Action.RECORD_READ, outcome=outcome, record_id=known)
            )
            return found

    def explain(self, reference: str) -> list[dict[str, Any]]:
        """Say where each element of a resource that an EHR holds comes from. No PHI."""
        kind, _, own = reference.partition("/")
        with self._store.read() as tx:
            return record_view.explained(tx, self._contents.why, contents.Identity(kind, own))

    def stock(self) -> list[dict[str, Any]]:
        """Return which stock documents there are; nothing of their content."""
        with self._store.read() as tx:
            return stock.every(tx)

    def stock_document(self, stock_id: str, *, actor: str) -> dict[str, Any] | None:
        """Return one version of a stock document, or None; the reading is noted."""
        with self._store.begin() as tx:
            found = stock.view(tx, self._parts.vault, stock_id)
            outcome = "ok" if found else "not found"
            detail = {"stock": stock_id if found else ""}
            self._audit.append(
                tx, Entry(actor=actor, action=Action.STOCK_READ, outcome=outcome, detail=detail)
            )
            return found

    def status(self) -> status.Status:
        """Return counts and what waits. No PHI."""
        with self._store.read() as tx:
            return status.read(
                tx, self._parts.vault, asdict(live.standing(tx)), now=self.clock.now()
            )

    def holdings(self, destination: str) -> list[dict[str, Any]]:
        """Count what a destination holds of ours, by type."""
        with self._store.read() as tx:
            return record_view.table_of(tx, destination)

    def next_due(self) -> datetime | None:
        """Return when the next open delivery is due, or None."""
        with self._store.read() as tx:
            return run.next_due(tx, self.clock.now())

    def check(self) -> None:
        """Refuse a database that cannot be used. Raises StoreError."""
        self._store.check()

    def close(self) -> None:
        """Give back the database's connections."""
        self._store.close()

    # --- access -------------------------------------------------------------------------------

    def make_token(self, *, name: str, role: Role, actor: str) -> str:
        """Make an API token; its secret is returned once."""
        with self._store.begin() as tx:
            secret = tokens.make(tx, self._parts.rng, name=name, role=role, now=self.clock.now())
            self._audit.append(
                tx,
                Entry(
                    actor=actor, action=Action.TOKEN_MADE, detail={"name": name, "role": role.value}
                ),
            )
            return secret

    def revoke_token(self, name: str, *, actor: str) -> int:
        """Revoke every live token of this name."""
        with self._store.begin() as tx:
            count = tokens.revoke(tx, name, now=self.clock.now())
            self._audit.append(
                tx, Entry(actor=actor, action=Action.TOKEN_REVOKED, detail={"name": name})
            )
            return count

    def list_tokens(self) -> list[dict[str, str]]:
        """Return all tokens without their secrets."""
        with self._store.read() as tx:
            return tokens.every(tx)

    def authenticate(self, secret: str) -> Principal | None:
        """Return who holds this secret, or None."""
        with self._store.read() as tx:
            return tokens.check(tx, secret, now=self.clock.now())

    def refused(self, *, actor: str, reason: str, route: str) -> None:
        """Note that somebody was turned away."""
        with self._store.begin() as tx:
            detail = {"reason": reason, "route": route}
            self._audit.append(
                tx,
                Entry(actor=actor, action=Action.ACCESS_REFUSED, outcome="refused", detail=detail),
            )

    @property
    def _reconcile(self) -> Reconcile:
        return Reconcile(self._reconcile_rooms())

    def _reconcile_rooms(self) -> ReconcileRooms:
        return ReconcileRooms(
            store=self._store,
            clock=self.clock,
            rng=self._parts.rng,
            vault=self._parts.vault,
            contents=self._contents,
            outbox=self._outbox,
            settlement=self._settlement,
            audit=self._audit,
            ehr_for=self._parts.ehr_for,
        )

    def _rooms(self) -> run.Rooms:
        return run.Rooms(
            store=self._store,
            clock=self.clock,
            rng=self._parts.rng,
            contents=self._contents,
            settlement=self._settlement,
            audit=self._audit,
            ehr_for=Meter(self._store, self.clock, self._parts.ehr_for).metered,
            crew=self._parts.crew,
        )
