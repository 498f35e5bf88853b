"""A whole bridge in this process: real SQLite and mappings, a sandbox EHR, a clock that stands."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select

from fhirbridge.bridge import Bridge
from fhirbridge.deliver import ledger as ledger_of
from fhirbridge.deliver import run, worker
from fhirbridge.destinations import modes, registry
from fhirbridge.destinations.modes import Mode
from fhirbridge.destinations.registry import Destination
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec, projection
from fhirbridge.fhir.names import Names
from fhirbridge.house import Parts
from fhirbridge.intake import live
from fhirbridge.intake.accept import Intake, Receipt
from fhirbridge.intake.live import LiveSet
from fhirbridge.intake.rooms import Quarantine
from fhirbridge.intake.rooms import Rooms as IntakeRooms
from fhirbridge.outbox import contents
from fhirbridge.outbox.claim import LaneName
from fhirbridge.outbox.contents import Identity
from fhirbridge.outbox.selection import Selection
from fhirbridge.outbox.states import State
from fhirbridge.outbox.waking import Bell, Waking
from fhirbridge.records.source_schema import source_schema
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.room import Disk, Room
from fhirbridge.store.sealed import Vault
from fhirbridge.store.tables import delivery, delivery_item, evidence, ledger, resource
from fhirbridge.translate.mapping_set import Files
from fhirbridge.translate.values import Site
from fhirbridge.webhooks.sender import Connect, nowhere
from tests.fakes import FarSide, FrozenClock, SeededRng
from tests.mapping_sets import compiled, mappings

Record = dict[str, Any]
SAMPLES = Path(__file__).parents[1] / "fhirbridge" / "samples"
AFTER_A_LEASE = timedelta(minutes=2)
A_DAY = timedelta(days=1)
LEAST_FREE = 1_000_000_000  # bytes


def a_visit(number: int = 1, **parts: Any) -> Record:
    """Visit `number` (1..6) of the synthetic infusion series, with whole parts replaced."""
    path = next(SAMPLES.glob(f"{number:02}-iv-series-visit-{number}.v1.json"))
    record: Record = deepcopy(codec.decode(path.read_bytes()))
    return {**record, **parts}


def a_short_visit(number: int = 1, patient: str = "pt-1", **parts: Any) -> Record:
    """A visit with a patient, a visit and one pulse, and nothing else that makes a resource."""
    whole = a_visit(1)
    kept = ("schema", "status", "labels", "signed", "clinic", "staff", "visit", "consents")
    short: Record = {name: whole[name] for name in kept}
    day = f"2026-03-{number:02}"
    short |= {
        "session_id": f"ses-{patient}-{number}",
        "version": 1,
        "recorded_at": f"{day}T11:45:00-05:00",
        "as_of": f"{day}T11:45:00-05:00",
        "signed": {**whole["signed"], "at": f"{day}T11:45:00-05:00"},
        "patient": {**whole["patient"], "id": patient, "as_of": f"{day}T08:50:00-05:00"},
        "visit": {
            **whole["visit"],
            "number": number,
            "series": f"series-{patient}",
            "start": f"{day}T09:00:00-05:00",
            "end": f"{day}T11:30:00-05:00",
        },
        "vitals": [a_pulse("v-1", 72, day=day)],
    }
    return deepcopy({**short, **parts})


def a_pulse(row: str, rate: int, *, day: str = "2026-03-01", hour: int = 9) -> Record:
    return {
        "id": row,
        "time": f"{day}T{hour:02}:10:00-05:00",
        "phase": "baseline",
        "heart_rate": {"value": rate, "unit": "/min"},
    }


def amended(record: Record, change: Callable[[Record], None] | None = None) -> Record:
    """The next version of a record, recorded a minute later by the clinic."""
    new = deepcopy(record)
    new["version"] += 1
    new["recorded_at"] = new["recorded_at"].replace(":45:", f":{45 + new['version']}:")
    if change is not None:
        change(new)
    return new


def rate(value: int, row: int = 0) -> Callable[[Record], None]:
    """A change of one pulse."""

    def change(record: Record) -> None:
        record["vitals"][row]["heart_rate"]["value"] = value

    return change


def rates(*values: int) -> Callable[[Record], None]:
    """A change of the first pulses, in order."""

    def change(record: Record) -> None:
        for row, value in enumerate(values):
            rate(value, row)(record)

    return change


def retracted(record: Record) -> Record:
    """The same session, said to be an error as a whole."""
    return amended(record, lambda new: new.update(status="entered-in-error"))


class World:
    """One bridge and its EHRs. `url` is SQLite in memory unless two connections are needed."""

    def __init__(
        self,
        *,
        url: str = "sqlite://",
        seed: int = 1,
        disk: Disk | None = None,
        mapped: Callable[[], Files] = mappings,
        waking: Callable[[Store], Waking] = lambda _store: Bell(),
        webhooks: Connect = nowhere,
    ) -> None:
        self.clock = FrozenClock()
        self.rng = SeededRng(seed)
        self.store = Store(url)
        self.store.create()
        self.vault = Vault(bytes(range(32)), self.rng)
        self.ehrs: dict[str, FarSide] = {}
        self.told: list[dict[str, Any]] = []  # alerts, in order
        self.disk = disk or Disk(measure=lambda: self.room, least=LEAST_FREE)
        self.room: Room | None = None  # on the disk of the database; None: nobody can tell
        self.waking = waking(self.store)
        self.webhooks = webhooks
        self.live = LiveSet(compiled)
        self.bridge = self._open()
        self.use_mappings(mapped)

    def _open(self) -> Bridge:
        return Bridge(
            Parts(
                store=self.store,
                vault=self.vault,
                clock=self.clock,
                rng=self.rng,
                site=Site(host="clinic.invalid", tenant="main", key=bytes(range(1, 33))),
                source=source_schema,
                live=self.live,
                ehr_for=self._ehr_for,
                quarantine=Quarantine(days=30, most=3),
                tell=lambda message: self.told.append(codec.decode(message)),
                disk=self.disk,
                seed=lambda: bytes(range(32)),
                waking=self.waking,
                webhooks=self.webhooks,
            )
        )

    def _ehr_for(self, destination: Destination) -> Ehr:
        return Ehr(
            base_url=destination.base_url,
            transport=self.ehrs[destination.name].transport,
            batches=destination.reads_in_batches,
            guards=not modes.is_weak(destination.traits),
        )

    @property
    def ehr(self) -> FarSide:
        return self.ehrs["ehr"]

    @property
    def rooms(self) -> run.Rooms:
        return self.bridge._rooms()

    @property
    def intake_rooms(self) -> IntakeRooms:
        return self.bridge._intake_rooms()

    @property
    def intake(self) -> Intake:
        return self.bridge._intake

    def use_mappings(self, mapped: Callable[[], Files]) -> None:
        """Let another mapping set translate from now on."""
        with self.store.begin() as tx:
            live.make_live(tx, mapped(), at=moment.to_text(self.clock.now()), actor="test")

    def connect(
        self, name: str = "ehr", *, requires_consent: bool = False, overlay: str = ""
    ) -> FarSide:
        """Add a sandbox EHR as a proven destination; it is owed the backlog."""
        self.ehrs[name] = FarSide(self.clock, base_url := f"http://{name}.invalid/fhir")
        new = Destination(
            name=name,
            base_url=base_url,
            mode=Mode.TRANSACTION,
            traits={},
            requires_consent=requires_consent,
            test_server=True,
            overlay=overlay,
            networks=(),
            paused="",
        )
        with self.store.begin() as tx:
            registry.add(tx, new, at=moment.to_text(self.clock.now()))
            self.intake.owe_backlog(tx, name)
        return self.ehrs[name]

    def accept(self, record: Record) -> Receipt:
        return self.bridge.accept(codec.encode(record), actor="test")

    def take(self, record: Record) -> Receipt:
        """Accept and deliver."""
        receipt = self.accept(record)
        self.sync()
        return receipt

    def sync(self) -> worker.Swept:
        return self.bridge.sync()

    def settle(self, *, days: int = 3) -> None:
        """Let time pass until nothing waits for its time any more, at most `days`."""
        until = self.clock.now() + days * A_DAY
        while self.clock.now() < until:
            self.sync()
            if (due := self.bridge.next_due()) is None:
                self.clock.advance(AFTER_A_LEASE)  # leases of killed workers end
                if not self.sync().settled:
                    return
            else:
                self.clock.advance(max(due - self.clock.now(), timedelta(seconds=1)))

    def rows(self, *states: str) -> list[Row[Any]]:
        """Deliveries in these states or all, in the order of their lanes."""
        chosen = select(delivery).order_by(
            delivery.c.destination, delivery.c.lane, delivery.c.sequence
        )
        with self.store.read() as tx:
            found = list(tx.execute(chosen))
        return [row for row in found if not states or row.state in states]

    def states(self) -> list[str]:
        return [row.state for row in self.rows()]

    def patient_rows(self) -> list[Row[Any]]:
        return [row for row in self.rows() if row.lane != contents.SHARED_LANE]

    def items(self, delivery_id: str) -> list[Row[Any]]:
        chosen = select(delivery_item).where(delivery_item.c.delivery_id == delivery_id)
        with self.store.read() as tx:
            return list(tx.execute(chosen.order_by(delivery_item.c.position)))

    def lanes(self) -> list[LaneName]:
        return sorted({LaneName(row.destination, row.lane) for row in self.rows()})

    def patient_lane(self) -> LaneName:
        (found,) = [lane for lane in self.lanes() if lane.lane != contents.SHARED_LANE]
        return found

    def shared_lane(self, destination: str = "ehr") -> LaneName:
        return LaneName(destination, contents.SHARED_LANE)

    def drain(self, lane: LaneName) -> Iterator[str]:
        return run.drain(self.rooms, lane)

    def retry(self, delivery_id: str | None = None) -> int:
        """Put one stuck delivery back in line, or (None) every parked one."""
        states = (State.PARKED,) if delivery_id is None else (State.PARKED, State.HELD)
        chosen = Selection(delivery_id=delivery_id or "")
        return self.bridge.put_back(chosen, states, actor="test")

    def ledger(self, destination: str = "ehr") -> dict[Identity, Row[Any]]:
        with self.store.read() as tx:
            lines = tx.execute(select(ledger).where(ledger.c.destination == destination))
            return {Identity(line.type, line.resource_id): line for line in lines}

    def heard_of(self, kind: str) -> list[dict[str, Any]]:
        """Events of one kind, as others get them; the first page of all."""
        return [one for one in self.bridge.events(0).events if one["kind"] == kind]

    def evidence(self, action: str) -> list[Row[Any]]:
        with self.store.read() as tx:
            return list(tx.execute(select(evidence).where(evidence.c.action == action)))

    def of_mapping(self, receipt: Receipt, mapping: str) -> list[str]:
        """References of what one mapping made of one record."""
        with self.store.read() as tx:
            found = contents.of_record(tx, receipt.id)
        return [f"{row.type}/{row.resource_id}" for row in found if row.mapping == mapping]

    def changes(self, receipt: Receipt, destination: str = "ehr") -> list[str]:
        """Types of what one record version owes a destination, sorted."""
        (owed,) = [one for one in receipt.owed if one.destination == destination]
        return sorted(change.identity.type for change in owed.changes)

    def paused(self, name: str = "ehr") -> str:
        with self.store.read() as tx:
            return registry.get(tx, name).paused

    def resume(self, name: str = "ehr") -> None:
        with self.store.begin() as tx:
            registry.pause(tx, name, "")

    def body(self, row_id: str) -> dict[str, Any]:
        with self.store.read() as tx:
            return self.bridge._contents.body(tx, row_id)

    def differing(self, name: str = "ehr") -> list[str]:
        """References of which an EHR does not show what counts now."""
        content = select(resource).where(resource.c.purpose == contents.CONTENT)
        with self.store.read() as tx:
            known = {Identity(r.type, r.resource_id): r.lane for r in tx.execute(content)}
            bodies = {
                one: self.bridge._contents.body(tx, row.id)
                for one, lane in known.items()
                if (row := contents.winner(tx, one, "", lane)) is not None
            }
        names, wrong = self.ehr_names(name), []
        for one, body in bodies.items():
            theirs = self.ehrs[name].history(f"{one.type}/{names.id_of(one)}")
            if not theirs or not projection.same(names.written(body), theirs[-1]):
                wrong.append(f"{one.type}/{one.id}")
        return wrong

    def ehr_names(self, name: str = "ehr") -> Names:
        """Under which ids an EHR has ours."""
        known = self.ledger(name)
        with self.store.read() as tx:
            return ledger_of.names(tx, registry.get(tx, name), known)

    def there(self, ours: str, name: str = "ehr") -> str:
        """What an EHR calls a resource of ours, both as `Type/id`."""
        kind, _, own = ours.partition("/")
        return f"{kind}/{self.ehr_names(name).id_of((kind, own))}"
