"""The whole journey: accept, translate, owe, deliver. Holds no rules."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from fhirbridge.access import tokens
from fhirbridge.access.tokens import Principal, Role
from fhirbridge.audit.log import Action
from fhirbridge.deliver import run, stopping, traffic
from fhirbridge.destinations import registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import NO_LIMITS, Destination, LimitChange, Limits
from fhirbridge.ehr import probe, trials
from fhirbridge.ehr.probe import Tested
from fhirbridge.intake import live, reload, stock
from fhirbridge.intake.accept import Receipt
from fhirbridge.intake.live import Standing
from fhirbridge.intake.reload import Reloaded
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.operating import Operating
from fhirbridge.outbox import contents
from fhirbridge.outbox.selection import EVERYTHING, Selection
from fhirbridge.overview import record as record_view
from fhirbridge.overview import status
from fhirbridge.records.schema import CheckedRecord
from fhirbridge.rng import new_id
from fhirbridge.store import moment
from fhirbridge.translate.mapping_set import Files
from fhirbridge.translate.values import Translation

OnStep = Callable[[Any, str], None]


class Bridge(Operating):
    """Everything a door may ask for; how deliveries are driven stands in operating.py."""

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
            mode=Mode.UNPROVEN,
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
            named = f"fhirbridge-probe-{new_id(self._parts.rng)[:12]}"
            traits = trials.try_writes(ehr, traits, named)
        with self._store.begin() as tx:
            registry.note_probe(tx, name, asdict(traits))
            found = registry.get(tx, name)
            outcome = "unproven" if found.mode is Mode.UNPROVEN else "proven"
            detail = {"mode": found.mode.value, "left_behind": list(traits.left_behind)}
            self._note(
                tx,
                actor,
                Action.DESTINATION_PROBED,
                outcome=outcome,
                destination=name,
                detail=detail,
            )
            return found

    def limit_destination(self, name: str, change: LimitChange, *, actor: str) -> Destination:
        """Set how much a destination is asked at most; what `change` leaves out stays."""
        with self._store.begin() as tx:
            return traffic.limit(tx, self._audit, name, change, actor=actor)

    def test_destination(self, name: str, *, actor: str) -> Tested:
        """Read whether it answers, signs us in and is what was probed; if it is not, pause it."""
        with self._store.read() as tx:
            known = registry.get(tx, name)
        tested = probe.test(self._parts.ehr_for(known), known.traits)
        with self._store.begin() as tx:
            stopping.note_test(tx, self._audit, name, tested, actor=actor)
        return tested

    def destination(self, name: str) -> Destination:
        """Return one destination. Raises DestinationError."""
        with self._store.read() as tx:
            return registry.get(tx, name)

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
            return status.read(
                tx,
                self._parts.vault,
                asdict(live.standing(tx)),
                chosen,
                now=self.clock.now(),
            )

    def database(self) -> tuple[str, str]:
        """Return the database's name, and its version and how it writes."""
        return self._store.describe()

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
