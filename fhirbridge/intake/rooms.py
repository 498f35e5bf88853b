"""What intake works with."""

from dataclasses import dataclass

from fhirbridge.audit.log import EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.outbox.contents import Contents
from fhirbridge.outbox.enqueue import Outbox
from fhirbridge.outbox.settle import Settlement
from fhirbridge.rng import Rng
from fhirbridge.store.engine import Store
from fhirbridge.store.room import Disk
from fhirbridge.store.sealed import Vault
from fhirbridge.translate.values import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """How long and how many refused records are kept."""

    days: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The rooms below, and the limits."""

    store: Store
    vault: Vault
    clock: Clock
    rng: Rng
    site: Site
    audit: EvidenceLog
    contents: Contents
    outbox: Outbox
    settlement: Settlement
    quarantine: Quarantine
    disk: Disk
