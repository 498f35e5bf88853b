"""The rooms, built once from what the outside gives. Holds no rules."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fhirbridge.alerts.book import Tell
from fhirbridge.alerts.command import nobody
from fhirbridge.audit import checkpoints
from fhirbridge.audit.checkpoints import Checkpoints
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.audit.reasons import Reasons
from fhirbridge.clock import Clock
from fhirbridge.deliver import run, worker
from fhirbridge.deliver.shelving import Shelving
from fhirbridge.deliver.traffic import Meter
from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr.rest import Ehr
from fhirbridge.facade.shelf import Shelf
from fhirbridge.intake.accept import Intake
from fhirbridge.intake.live import LiveSet
from fhirbridge.intake.rooms import Quarantine
from fhirbridge.intake.rooms import Rooms as IntakeRooms
from fhirbridge.matching.links import Links
from fhirbridge.matching.theirs.links import TheirLinks
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.enqueue import Outbox
from fhirbridge.outbox.settle import Settlement
from fhirbridge.outbox.waking import Bell, Waking
from fhirbridge.reconcile.act import Rooms as ReconcileRooms
from fhirbridge.reconcile.desk import Reconcile
from fhirbridge.records.source import SourceField
from fhirbridge.rng import Rng
from fhirbridge.signin.book import Book
from fhirbridge.signin.keys import Keys
from fhirbridge.store.engine import Store
from fhirbridge.store.room import ENDLESS, Disk
from fhirbridge.store.sealed import Vault
from fhirbridge.translate.values import Site


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
    disk: Disk = ENDLESS
    seed: Callable[[], bytes] = checkpoints.no_seed  # of the key that signs the evidence
    waking: Waking = field(default_factory=Bell)


class House:
    """What stands between the doors and the rooms."""

    def __init__(self, parts: Parts) -> None:
        """Build the rooms; nothing is opened, read or sent yet."""
        self.clock = parts.clock
        self._parts = parts
        self._store = parts.store
        self._audit = EvidenceLog(clock=parts.clock, rng=parts.rng, vault=parts.vault)
        self._checkpoints = Checkpoints(
            origin=f"{parts.site.host}/{parts.site.tenant}/evidence",
            rng=parts.rng,
            seed=parts.seed,
        )
        self._reasons = Reasons(self._audit, parts.vault)
        self._contents = Contents(vault=parts.vault, rng=parts.rng)
        self._settlement = Settlement(audit=self._audit, clock=parts.clock, waking=parts.waking)
        self._outbox = Outbox(
            contents=self._contents,
            audit=self._audit,
            clock=parts.clock,
            rng=parts.rng,
            waking=parts.waking,
        )
        self._links = Links(
            vault=parts.vault,
            rng=parts.rng,
            clock=parts.clock,
            audit=self._audit,
            contents=self._contents,
        )
        self._theirs = TheirLinks(
            vault=parts.vault,
            rng=parts.rng,
            clock=parts.clock,
            audit=self._audit,
            contents=self._contents,
        )
        self._shelf = Shelf(parts.vault)
        self._book = Book(vault=parts.vault, clock=parts.clock, rng=parts.rng)
        self._keys = Keys(vault=parts.vault, clock=parts.clock)
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
            disk=parts.disk,
        )

    def _note(self, tx: Any, actor: str, action: Action, **more: Any) -> None:
        self._audit.append(tx, Entry(actor=actor, action=action, **more))

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
            links=self._links,
            theirs=self._theirs,
            ehr_for=self._parts.ehr_for,
        )

    def _pull_rooms(self) -> ReconcileRooms:
        """Return the rooms of reconciling, with a way to each EHR that heeds its limits."""
        return replace(self._reconcile_rooms(), ehr_for=self._metered)

    def _metered(self, destination: Destination) -> Ehr:
        return Meter(self._store, self.clock, self._parts.ehr_for).metered(destination)

    def _rooms(self, only: frozenset[str] | None = None) -> run.Rooms:
        return run.Rooms(
            store=self._store,
            clock=self.clock,
            rng=self._parts.rng,
            contents=self._contents,
            settlement=self._settlement,
            audit=self._audit,
            links=self._links,
            theirs=self._theirs,
            shelving=Shelving(self._shelf, self.clock),
            ehr_for=self._metered,
            waking=self._parts.waking,
            crew=self._parts.crew,
            only=only,
        )
