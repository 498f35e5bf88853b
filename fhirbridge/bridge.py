"""The whole journey: accept, translate, owe, deliver. Holds no rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from fhirbridge.access import tokens
from fhirbridge.audit import reasons
from fhirbridge.audit.log import Action, Entry
from fhirbridge.calling import Calling
from fhirbridge.deliver import due, stopping, traffic
from fhirbridge.destinations import addresses, registry
from fhirbridge.destinations import theirs as theirs_of
from fhirbridge.destinations.limits import NO_LIMITS, LimitChange, Limits
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import OUR_PATIENTS, Destination, Patients
from fhirbridge.destinations.theirs import NOTHING
from fhirbridge.ehr import probe, trials
from fhirbridge.ehr.probe import Tested
from fhirbridge.errors import BridgeError
from fhirbridge.facade import shelf
from fhirbridge.intake import live, reload, stock
from fhirbridge.intake.accept import Receipt
from fhirbridge.intake.live import Standing
from fhirbridge.intake.reload import Reloaded
from fhirbridge.intake.stock import StockReceipt
from fhirbridge.outbox import contents
from fhirbridge.outbox.selection import EVERYTHING, Selection
from fhirbridge.overview import changes, health, metrics, status
from fhirbridge.overview import record as record_view
from fhirbridge.profiles.profile_file import NO_PROFILE, Profile
from fhirbridge.reconcile import stops
from fhirbridge.records.schema import CheckedRecord
from fhirbridge.rng import new_id
from fhirbridge.signin.methods import UNCHANGED, Change
from fhirbridge.store import moment
from fhirbridge.translate.mapping_set import Files
from fhirbridge.translate.values import Translation
from fhirbridge.webhooks import decide, endpoints

OnStep = Callable[[Any, str], None]


class Bridge(Calling):
    """Everything a door may ask for.

    How deliveries are driven stands in operating.py, how we sign in to EHRs in connecting.py,
    what other systems send as signed messages in receiving.py, how a destination ends in
    removing.py, how long charts are kept in keeping.py, what callers of the API ask for in
    calling.py, what readers pull in facing.py.
    """

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
        patients: Patients = OUR_PATIENTS,
        theirs: Mapping[str, str] = NOTHING,
        sign_in: Change = UNCHANGED,
        profile: Profile = NO_PROFILE,
    ) -> Destination:
        """Look at the server, store it, owe it every current record, prove it where allowed.

        Raises DestinationError, SignInError or NotAnEhrError; then nothing was added.
        """
        new = Destination(
            name=name,
            base_url=addresses.checked_url(base_url),
            mode=Mode.UNPROVEN,
            traits={},
            requires_consent=requires_consent,
            test_server=test_server,
            overlay=overlay,
            networks=addresses.checked_networks(networks),
            paused=registry.NOT_PROVEN,
            limits=limits,
            patients=patients,
            declared=profile.mode or "",
            types=profile.types,
            theirs=theirs_of.checked(theirs, patients),
        )
        with self._store.begin() as tx:  # of another process, too: the look signs in
            registry.check_new(tx, name)
            self._begin_sign_in(tx, new, sign_in, actor=actor)
        try:
            probe.look(self._parts.ehr_for(new))
        except BridgeError:
            with self._store.begin() as tx:
                self._book.forget(tx, name)
            raise
        with self._store.begin() as tx:
            registry.add(tx, new, at=moment.to_text(self.clock.now()))
            detail = {
                "test_server": test_server,
                "requires_consent": requires_consent,
                "overlay": overlay,
                "profile": profile.name,
                **patients.columns(),
                "theirs": dict(theirs),
            }
            self._note(tx, actor, Action.DESTINATION_ADDED, destination=name, detail=detail)
            self._intake.owe_backlog(tx, name)
        return self.probe_destination(name, actor=actor)

    def probe_destination(self, name: str, *, agreed_with: str = "", actor: str) -> Destination:
        """Find out what the server honours.

        Writes Patients that are nobody, and removes them, at a sandbox, at a named test server, or
        where somebody there agreed. What was seen of any other stands while it promises the same.
        Where a person said that it only creates, an agreement is enough: nothing could be removed.
        """
        reasons.check(agreed_with)
        with self._store.read() as tx:
            known = registry.get(tx, name)
            registry.check_is_server(known)
        ehr = self._parts.ehr_for(known)
        traits = probe.look(ehr)
        seen = asdict(traits)
        if agreed_with and known.declared and not known.test_server:
            seen["agreed"] = True
        elif traits.sandbox or known.test_server or agreed_with:
            named = f"fhirbridge-probe-{new_id(self._parts.rng)[:12]}"
            seen = asdict(trials.try_writes(ehr, traits, named))
        elif known.traits.get("capability") == traits.capability:
            seen = dict(known.traits)
        with self._store.begin() as tx:
            registry.note_probe(tx, name, seen)
            stops.enforce(tx)
            found = registry.get(tx, name)
            self._catch_up(tx, known)
            outcome = "unproven" if found.mode is Mode.UNPROVEN else "proven"
            detail = {
                "mode": found.mode.value,
                "left_behind": list(seen["left_behind"]),
                "agreed": bool(agreed_with),
            }
            entry = Entry(
                actor=actor,
                action=Action.DESTINATION_PROBED,
                outcome=outcome,
                destination=name,
                detail=detail,
            )
            self._reasons.append(tx, entry, agreed_with)
            return found

    def limit_destination(self, name: str, change: LimitChange, *, actor: str) -> Destination:
        """Set how much a destination is asked at most; what `change` leaves out stays."""
        with self._store.begin() as tx:
            return traffic.limit(tx, self._audit, name, change, actor=actor)

    def allow_weak_guard(self, name: str, why: str, *, actor: str) -> Destination:
        """Let updates go where the server guards none, for this reason; "" takes that back."""
        reasons.check(why)
        with self._store.begin() as tx:
            registry.allow_weak_guard(tx, name, allowed=bool(why))
            stops.enforce(tx)
            found = registry.get(tx, name)
            entry = Entry(
                actor=actor,
                action=Action.DESTINATION_WEAK_GUARD,
                destination=name,
                detail={"allowed": bool(why), "mode": found.mode.value},
            )
            self._reasons.append(tx, entry, why)
            return found

    def test_destination(self, name: str, *, actor: str) -> Tested:
        """Read whether it answers, signs us in and is what was probed; if it is not, pause it."""
        with self._store.read() as tx:
            known = registry.get(tx, name)
            registry.check_is_server(known)
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

    def record_changes(
        self, record_id: str, *, before: int | None, after: int | None, actor: str
    ) -> dict[str, Any]:
        """Say what changed between two versions of a session; the reading is noted. Holds PHI.

        Raises UnknownVersionError or ShreddedError.
        """
        with self._store.begin() as tx:
            old, new = changes.versions(tx, record_id, before, after)
            for one, other in ((old, new), (new, old)):
                detail = {"compared_with": other.id}
                self._note(tx, actor, Action.RECORD_READ, record_id=one.id, detail=detail)
            return changes.between(tx, self._parts.vault, self._contents, old, new)

    def record_reached(self, record_id: str) -> list[dict[str, Any]]:
        """Say how far a record version got, by destination. No PHI; empty where there is none."""
        with self._store.read() as tx:
            return record_view.by_destination(tx, record_id)

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
                disk=self._parts.disk,
            )

    def disk(self) -> health.Check:
        """Judge the room that is left where the database lies."""
        disk = self._parts.disk
        with self._store.read() as tx:
            return health.of_disk(disk, health.lasts_days(tx, disk.measure(), self.clock.now()))

    def ready(self) -> None:
        """Refuse where no record can be taken in. Raises NotLiveError, StoreError, NoRoomError."""
        self._parts.disk.check()
        with self._store.read() as tx:
            self._store.check_schema(tx)  # another process may have upgraded or moved it
            live.standing(tx)

    def metrics(self) -> bytes:
        """Return how things stand as Prometheus reads it. No PHI."""
        with self._store.read() as tx:
            return metrics.text(tx, now=self.clock.now())

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
            return due.next_due(tx, self.clock.now())

    def note_backup(self, *, actor: str) -> None:
        """Note that a copy is about to be made, so that the copy tells of itself."""
        with self._store.begin() as tx:
            self._note(tx, actor, Action.DATABASE_BACKED_UP)

    def note_restore(self, *, made_at: str, actor: str) -> None:
        """Note that this database was put back from a copy that was `made_at` that time.

        No token, no webhook secret and no secret of an EHR's calls in the copy is good any more:
        somebody may have revoked it since. The EHRs are told theirs anew at their next look. Nobody
        is told by webhook until a person enables that: it may be a copy beside it.
        """
        with self._store.begin() as tx:
            revoked = tokens.revoke_every(tx, now=self.clock.now())
            self._book.forget_tokens(tx)
            shelf.skip_ahead(tx)
            sources = self._sources.revoke_every(tx, now=self.clock.now())
            subscriptions = self.subscriptions.change_secrets(tx)
            hooks = endpoints.disable_every(tx, decide.BY_RESTORE, now=self.clock.now())
            detail = {
                "made_at": made_at,
                "tokens_revoked": revoked,
                "sources_revoked": sources,
                "subscriptions_changed": subscriptions,
                "endpoints_disabled": hooks,
            }
            self._note(tx, actor, Action.DATABASE_RESTORED, detail=detail)

    def check(self) -> None:
        """Refuse a database that cannot be used. Raises StoreError."""
        self._store.check()

    def close(self) -> None:
        """Give back the database's connections."""
        self._store.close()
