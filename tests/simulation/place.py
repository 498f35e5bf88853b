"""One bridge in memory that is new in a millisecond, and may die at any commit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from fhirbridge.destinations import modes
from fhirbridge.destinations.modes import Mode
from fhirbridge.fhir import codec
from fhirbridge.intake.live import LiveSet
from fhirbridge.intake.translating import Translator
from fhirbridge.outbox.waking import Bell
from fhirbridge.records import schema
from fhirbridge.records.schema import CheckedRecord
from fhirbridge.sandbox.storage import Version
from fhirbridge.store.engine import Store, StoreBusyError
from fhirbridge.store.room import ENDLESS
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import destination, resource
from fhirbridge.translate.values import Translation
from fhirbridge.webhooks.sender import nowhere
from tests.factories import World, a_short_visit
from tests.fakes import FarSide, FrozenClock, SeededRng
from tests.mapping_sets import compiled, few_mappings
from tests.simulation.naming import NamingTransport

EHR = "ehr"
BASE_URL = f"http://{EHR}.invalid/fhir"
STRANGER = "pt-0"  # somebody who was here before

# What the database itself saw, whoever wrote it.
WATCHED = (
    "CREATE TABLE seen (delivery TEXT, before TEXT, after TEXT)",
    """CREATE TRIGGER seen_new AFTER INSERT ON delivery
    BEGIN INSERT INTO seen VALUES (NEW.id, '', NEW.state); END""",
    """CREATE TRIGGER seen_move AFTER UPDATE OF state ON delivery
    BEGIN INSERT INTO seen VALUES (NEW.id, OLD.state, NEW.state); END""",
)


class KilledError(BaseException):
    """The process is gone: nothing after this moment happens in it."""


@dataclass(slots=True, kw_only=True)
class Doom:
    """The process dies at its `countdown`-th commit from now: just before it, or just after."""

    countdown: int
    after: bool


class MortalStore(Store):
    """A store whose process may be killed at a commit, and which may be busy."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.doom: Doom | None = None
        self.busy = False
        # Who waits for an answer while a record is taken in; nobody is told through here.
        self.door: Callable[[str], None] = lambda _receipt: None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        if self.busy:
            raise StoreBusyError("the database did not answer: SQLITE_BUSY")
        doom = self._due()
        with super().begin() as tx:
            yield tx
            if doom is not None and not doom.after:
                raise KilledError
        if doom is not None:
            raise KilledError

    def _due(self) -> Doom | None:
        """Say whether it is this commit."""
        if self.doom is None:
            return None
        self.doom.countdown -= 1
        return self.doom if self.doom.countdown == 0 else None

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the database beside the program, and quickly."""
        return list(self._driver.execute(query, values))

    def changes(self) -> int:
        """Return a number that is another one after each write."""
        return int(self._driver.total_changes)

    def fill(self, pattern: Store) -> None:
        """Begin again as a copy of another one."""
        original: Any = pattern.engine.raw_connection().driver_connection
        original.backup(self._driver)

    def image(self) -> bytes:
        copy: bytes = self._driver.serialize()
        return copy

    @cached_property
    def _driver(self) -> Any:
        return self.engine.raw_connection().driver_connection


class Place(World):
    """A bridge with one EHR, `ehr`: few mappings, which are compiled once for all places."""

    def __init__(
        self, *, seed: int, requires_consent: bool, known: bool, mode: Mode = Mode.TRANSACTION
    ) -> None:
        """How deliveries go; where that is ASSIGNED or CREATE_ONLY, the EHR names what is new."""
        self.mode = mode
        self.clock = FrozenClock()
        self.rng = SeededRng(seed)
        self.memory = _memory()
        self.store = self.memory
        self.vault = Vault(bytes(range(32)), self.rng)
        self.told = []
        self.disk = ENDLESS
        self.waking = Bell()
        self.ehrs = {EHR: FarSide(self.clock, BASE_URL)}
        beginning = _beginning(requires_consent=requires_consent, known=known, mode=mode)
        self.memory.fill(beginning.pattern)
        self.ehr.model.restore(beginning.held)
        self.live = _live()
        self.webhooks = nowhere
        self.bridge = self._open()


@cache
def _memory() -> MortalStore:
    """One engine for all places of this process: statements are compiled once."""
    return MortalStore("sqlite://")


@cache
def _live() -> LiveSet:
    return LiveSet(compiled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What there is before the first step, on both sides."""

    pattern: Store
    held: tuple[Version, ...]


@cache
def _beginning(*, requires_consent: bool, known: bool, mode: Mode) -> Beginning:
    """The mappings live, the EHR connected, the watch set; `known`: the EHR has the clinic."""
    world = World(mapped=few_mappings)
    world.connect(EHR, requires_consent=requires_consent)
    with world.store.begin() as tx:
        traits = codec.encode({"profiles": _profiles()}).decode()
        tx.execute(update(destination).values(traits=traits, mode=mode))
    way = NamingTransport(world.ehr.model, base_url=BASE_URL, clock=world.clock)
    way.names = mode in modes.GIVES_IDS
    world.ehr.transport = way
    if known:
        world.take(a_short_visit(patient=STRANGER))
    raw: Any = world.store.engine.raw_connection().driver_connection
    for statement in WATCHED:
        raw.execute(statement)
    return Beginning(pattern=world.store, held=world.ehr.model.snapshot())


def _profiles() -> list[str]:
    """Every profile that these mappings claim: the EHR knows them, so all is sent as pinned."""
    world = World(mapped=few_mappings)
    world.connect(EHR)
    world.accept(a_short_visit())
    with world.store.read() as tx:
        rows = tx.scalars(select(resource.c.id)).all()
    metas = [world.body(row).get("meta", {}) for row in rows]
    return sorted({profile for meta in metas for profile in meta.get("profile", ())})


@contextmanager
def remembering() -> Iterator[None]:
    """Check and translate each document once: both are pure, and have their own tests."""
    load, translate = schema.load, Translator.translate
    checked: dict[bytes, CheckedRecord] = {}
    # By identity: what was loaded here is kept, so that its id stays its own.
    made: dict[int, Translation | None] = {}

    def load_once(raw: bytes) -> CheckedRecord:
        if raw not in checked:
            checked[raw] = load(raw)
            made[id(checked[raw].document)] = None
        return checked[raw]

    def translate_once(
        self: Translator, document: dict[str, Any], overlay: str = ""
    ) -> Translation:
        key = id(document)
        known = made.get(key)
        if known is None:
            known = translate(self, document, overlay)
            if key in made:
                made[key] = known
        return known

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "load", load_once)
        patch.setattr(Translator, "translate", translate_once)
        yield
