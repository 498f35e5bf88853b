"""The whole journey on one page: accept, translate, owe, deliver. Builds rooms, holds no rules."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fhirbridge.access import tokens
from fhirbridge.access.tokens import Principal, Role
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import run, stopping, worker
from fhirbridge.deliver.stopping import Resumed
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr import probe
from fhirbridge.ehr.probe import Tested
from fhirbridge.ehr.rest import Ehr
from fhirbridge.intake import live, reload, stock
from fhirbridge.intake.accept import Intake, Receipt
from fhirbridge.intake.live import LiveSet, Standing
from fhirbridge.intake.reload import Reloaded
from fhirbridge.intake.replay import Replayed
from fhirbridge.intake.rooms import Quarantine
from fhirbridge.intake.rooms import Rooms as IntakeRooms
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.outbox import contents, pauses, stuck
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.enqueue import Outbox
from fhirbridge.outbox.pauses import Stopped
from fhirbridge.outbox.selection import EVERYTHING, Selection
from fhirbridge.outbox.settle import Settlement
from fhirbridge.outbox.states import State
from fhirbridge.overview import health, status
from fhirbridge.overview import record as record_view
from fhirbridge.plan import plan, scope
from fhirbridge.plan.plan import Applied, Plan, Written
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


def _ignore(_lane: Any, _step: str) -> None:
    """Nobody watches the steps."""


def _always() -> bool:
    return True


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
            outbox=Outbox(
                contents=self._contents, audit=self._audit, clock=parts.clock, rng=parts.rng
            ),
            settlement=self._settlement,
            quarantine=parts.quarantine,
        )

    # --- accept -------------------------------------------------------------------------------

    def preview(self, raw: bytes, *, overlay: str = "") -> tuple[CheckedRecord, Translation]:
        """Check and translate without storing anything."""
        return self._intake.preview(raw, overlay=overlay)

    def accept(self, raw: bytes, *, actor: str) -> Receipt:
        """Take in one session record; when this returns, delivery is owed."""
        return self._intake.accept(raw, actor=actor)

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

    def delivery_loop(self) -> worker.Loop:
        """Return the loop that delivers in the background; start it after a fork."""
        return worker.Loop(self._rooms())

    def sync(
        self,
        chosen: Selection = EVERYTHING,
        *,
        on_step: OnStep = _ignore,
        go_on: worker.GoOn = _always,
    ) -> worker.Swept:
        """Translate again what mended mappings can translate, then deliver all that is due."""
        self._intake.translate_held()
        self._intake.expire_quarantine()
        with self._store.read() as tx:
            only = scope.of(tx, chosen)
        return worker.until_idle(self._rooms(only), on_step=on_step, go_on=go_on)

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
        with self._store.begin() as tx:
            begun = plan.begin(tx, self._audit, written, at=self.clock.now(), actor=actor)
        swept = worker.until_idle(self._rooms(begun.left), on_step=on_step, go_on=go_on)
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
        )
        probe.look(self._parts.ehr_for(new))
        self._intake.refuse_unknown(overlay)
        with self._store.begin() as tx:
            registry.add(tx, new, at=moment.to_text(self.clock.now()))
            detail = {
                "test_server": test_server,
                "requires_consent": requires_consent,
                "overlay": overlay,
            }
            self._note(tx, actor, Action.DESTINATION_ADDED, destination=name, detail=detail)
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
            self._note(tx, actor, Action.DESTINATION_PROBED, outcome=outcome, destination=name)
            return registry.get(tx, name)

    def test_destination(self, name: str, *, actor: str) -> Tested:
        """Read whether it answers, signs us in and is what was probed; if it is not, pause it."""
        with self._store.read() as tx:
            known = registry.get(tx, name)
        tested = probe.test(self._parts.ehr_for(known), known.traits)
        with self._store.begin() as tx:
            stopping.note_test(tx, self._audit, name, tested, actor=actor)
        return tested

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
            self._note(tx, actor, Action.RECORD_READ, outcome=outcome, record_id=known)
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
            self._note(tx, actor, Action.STOCK_READ, outcome=outcome, detail=detail)
            return found

    def status(self, chosen: Selection = EVERYTHING) -> status.Status:
        """Return counts and what waits. No PHI."""
        with self._store.read() as tx:
            return status.read(tx, asdict(live.standing(tx)), chosen)

    def database(self) -> health.Database:
        """Return how the database is kept."""
        with self._store.read() as tx:
            return health.database(tx)

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
            detail = {"name": name, "role": role.value}
            self._note(tx, actor, Action.TOKEN_MADE, detail=detail)
            return secret

    def revoke_token(self, name: str, *, actor: str) -> int:
        """Revoke every live token of this name."""
        with self._store.begin() as tx:
            count = tokens.revoke(tx, name, now=self.clock.now())
            self._note(tx, actor, Action.TOKEN_REVOKED, detail={"name": name})
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
            self._note(tx, actor, Action.ACCESS_REFUSED, outcome="refused", detail=detail)

    def _note(self, tx: Any, actor: str, action: Action, **more: Any) -> None:
        self._audit.append(tx, Entry(actor=actor, action=action, **more))

    def _rooms(self, only: frozenset[str] | None = None) -> run.Rooms:
        return run.Rooms(
            store=self._store,
            clock=self.clock,
            rng=self._parts.rng,
            contents=self._contents,
            settlement=self._settlement,
            audit=self._audit,
            ehr_for=self._parts.ehr_for,
            only=only,
        )
