"""Clinics, workers and an EHR that fails at random, counted: each returns what it measured."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.outbox import claim
from fhirbridge.outbox.selection import EVERYTHING
from fhirbridge.outbox.states import BLOCKED, State
from tests.deliver.refusing import refuse
from tests.deliver.storm import after_a_step
from tests.factories import AFTER_A_LEASE, World, a_short_visit, amended, rate
from tests.fakes import Fault, Outcome, SandboxTransport, Says, Trouble
from tests.mapping_sets import few_mappings

WORKERS = 8
FIRST_RATE, SECOND_RATE = 40, 90
TROUBLES: tuple[Trouble, ...] = (
    *Fault,
    Says(status=409),
    Says(status=429, headers={"retry-after": "3"}),
    Says(status=500),
    Says(status=503),
)


def a_world(url: str = "sqlite://") -> World:
    made = World(url=url, mapped=few_mappings)
    made.connect()
    return made


def rates(world: World, patient_id: str) -> list[int]:
    """The pulses of one patient as the EHR's history tells them."""
    (pulse,) = [
        one
        for one in world.ehr.all_of("Observation")
        if one["subject"]["reference"] == f"Patient/{patient_id}"
    ]
    history = world.ehr.history(f"Observation/{pulse['id']}")
    return [int(one["valueQuantity"]["value"]) for one in history]


# --- R2: the same record from all sides -------------------------------------------------------


class OneAtATime:
    """A way to the EHR that several threads may use."""

    def __init__(self, inner: SandboxTransport) -> None:
        self._inner = inner
        self._lock = threading.Lock()

    def send(self, request: Request, *, deadline_seconds: float) -> Outcome:
        with self._lock:
            return self._inner.send(request, deadline_seconds=deadline_seconds)


def same_record(folder: Path, *, times: int, threads: int) -> tuple[int, list[str]]:
    """Take one record in again and again, from all threads, while all deliver too.

    Return how many receipts there were, and what is not there just once.
    """
    world = a_world(f"sqlite:///{folder / 'test.db'}")
    inner = world.ehr.transport
    inner_way: Any = OneAtATime(inner)
    world.ehr.transport = inner_way
    raw = codec.encode(a_short_visit())
    receipts: list[str] = []

    def work() -> None:
        for _ in range(times // threads):
            receipts.append(world.bridge.accept(raw, actor="test").id)
            world.bridge.sync()

    crew = [threading.Thread(target=work) for _ in range(threads)]
    for one in crew:
        one.start()
    for one in crew:
        one.join()
    world.settle()
    versions = {one: len(world.ehr.history(one)) for one in world.ehr.references()}
    wrong = [f"{one} has {count} versions" for one, count in versions.items() if count != 1]
    wrong += [] if len(set(receipts)) == 1 else ["it was taken for several records"]
    wrong += [] if sorted(versions) == sorted(_made(world)) else ["a source has two resources"]
    return len(receipts), wrong


def _made(world: World) -> set[str]:
    return {f"{one.type}/{one.resource_id}" for row in world.rows() for one in world.items(row.id)}


# --- R3: nothing changed ----------------------------------------------------------------------


def unchanged(records: int) -> tuple[int, int]:
    """Say all records again, as a new version too, and make all anew.

    Return how many requests were sent and how many versions the EHR has more.
    """
    world = a_world()
    taken = [a_short_visit(patient=f"pt-{number}") for number in range(records)]
    for one in taken:
        world.accept(one)
    world.sync()
    assert set(world.states()) == {"delivered"}
    before = len(world.ehr.storage.log())
    world.ehr.transport.sent.clear()
    for one in taken:
        assert world.accept(one).state == "repeated"
        world.accept(amended(one))
    done = world.bridge.replay(EVERYTHING, parked=False, actor="test")
    world.sync()
    assert done.considered == records
    return len(world.ehr.transport.sent), len(world.ehr.storage.log()) - before


# --- R5: order --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a chaotic day of edits came to."""

    inversions: int
    unfinished: int  # patients whose last edit the EHR does not show
    versions: int
    faults: Counter[str]
    kills: int


class Edits:
    """Edits of many patients, sent by workers that take turns by chance, over a bad network."""

    def __init__(self, *, patients: int, edits: int, seed: int = 5) -> None:
        self.chance = random.Random(seed)
        self.world = a_world()
        self.records = {
            n: a_short_visit(patient=f"pt-{n}", vitals=_pulse()) for n in range(patients)
        }
        self.ids = {}
        for number, record in self.records.items():
            (reference,) = self.world.of_mapping(self.world.accept(record), "patient")
            self.ids[number] = reference.removeprefix("Patient/")
        self.left = [number for number in range(patients) for _ in range(edits - 1)]
        self.chance.shuffle(self.left)
        self.last = FIRST_RATE + edits - 1
        self.workers: list[Iterator[str] | None] = [None] * WORKERS
        self.dead: list[Iterator[str]] = []  # kept: a killed worker tidies nothing up
        self.faults: Counter[str] = Counter()
        self.world.ehr.transport.choose = self._trouble

    def run(self) -> Ordered:
        while self.left:
            self._edit()
            for _ in range(3):
                self._work(self.chance.randrange(WORKERS))
            if self.chance.random() < 0.05:
                self.world.clock.advance(timedelta(seconds=self.chance.choice((2, 10, 70))))
        self._heal()
        found = [rates(self.world, one) for one in self.ids.values()]
        return Ordered(
            inversions=sum(b <= a for one in found for a, b in pairwise(one)),
            unfinished=sum(one[-1] != self.last for one in found),
            versions=sum(map(len, found)),
            faults=self.faults,
            kills=len(self.dead),
        )

    def _trouble(self, _request: Request) -> Trouble:
        if self.chance.random() >= 0.15:
            return None
        trouble = self.chance.choice(TROUBLES)
        self.faults[str(getattr(trouble, "status", trouble))] += 1
        return trouble

    def _edit(self) -> None:
        number = self.left.pop()
        record = self.records[number]
        now = record["vitals"][0]["heart_rate"]["value"]
        self.records[number] = amended(record, rate(now + 1))
        self.records[number]["recorded_at"] = record["recorded_at"]  # the version decides
        self.world.accept(self.records[number])

    def _work(self, number: int) -> None:
        worker = self.workers[number] or self._hired()
        self.workers[number] = worker
        if worker is None:
            return
        if self.chance.random() < 0.003:
            self.dead.append(worker)
            self.workers[number] = None
            return
        self.workers[number] = after_a_step(worker)

    def _hired(self) -> Iterator[str] | None:
        with self.world.store.read() as tx:
            now = self.world.clock.now()
            lanes = claim.due_lanes(tx, now, destination="ehr", most=WORKERS)
        return self.world.drain(self.chance.choice(lanes)) if lanes else None

    def _heal(self) -> None:
        """The network is well; what was late comes among the rest, and last of all."""
        far = self.world.ehr.transport
        far.choose = lambda _request: None
        self.dead += [one for one in self.workers if one is not None]
        far.land_late()
        for _ in range(3):
            self.world.clock.advance(AFTER_A_LEASE)
            self.world.settle()
            self.world.retry()
        far.land_late()


def _pulse() -> list[dict[str, Any]]:
    record = a_short_visit()
    rate(FIRST_RATE)(record)
    vitals: list[dict[str, Any]] = record["vitals"]
    return vitals


# --- R8: one bad among many -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Isolated:
    """Deliveries of patients, by what became of them."""

    delivered: int
    parked: int
    blocked: int  # and say by what
    others: int


def one_bad(records: int, *, dependants: int = 3) -> Isolated:
    """Send so many records: one patient is refused, and later visits of his need him."""
    world = a_world()
    (bad,) = world.of_mapping(world.accept(a_short_visit(patient="pt-bad")), "patient")
    for number in range(dependants):
        world.accept(a_short_visit(number + 2, patient="pt-bad"))
    for number in range(records - 1 - dependants):
        world.accept(a_short_visit(patient=f"pt-{number}"))
    refuse(world, lambda resource: f"{resource['resourceType']}/{resource['id']}" == bad)
    world.settle()
    rows = world.patient_rows()
    parked = [row for row in rows if row.state == "parked"]
    blocked = [
        row
        for row in rows
        if row.state == "pending" and row.reason in [f"{BLOCKED}{one.id}" for one in parked]
    ]
    delivered = [row for row in rows if row.state == "delivered"]
    return Isolated(
        delivered=len(delivered),
        parked=len(parked),
        blocked=len(blocked),
        others=len(rows) - len(delivered) - len(parked) - len(blocked),
    )


# --- R32: who did not agree -------------------------------------------------------------------

NO_SHARING = {"id": "cs-share", "kind": "sharing", "signed_at": "2026-02-20T10:32:00-05:00"}


def withheld(patients: int) -> tuple[int, int, int]:
    """Every second patient agrees, the others do not, or take it back while they are queued.

    Then all is replayed, released, retried, and owed to a new EHR as a backfill. Return how many
    requests there were, how many named who did not agree, and how many patients arrived.
    """
    world = World(mapped=few_mappings)
    world.connect(requires_consent=True)
    hidden = set()
    for number in range(patients):
        agrees = number % 2 == 0
        record = a_short_visit(patient=f"pt-{number}")
        withdrawn = not agrees and number % 4 == 1
        record["consents"] = [_sharing("active" if agrees or withdrawn else "rejected")]
        receipt = world.accept(record)
        if withdrawn:
            world.accept(amended(record, lambda new: new.update(consents=[_sharing("withdrawn")])))
        if not agrees:
            hidden |= set(world.of_mapping(receipt, "patient"))
    world.settle()
    world.connect("new", requires_consent=True)
    world.bridge.replay(EVERYTHING, parked=False, actor="test")
    world.bridge.put_back(EVERYTHING, (State.HELD, State.PARKED), actor="test")
    world.bridge.replay(EVERYTHING, parked=True, actor="test")
    world.settle()
    world.bridge.reconcile("ehr", full=True, actor="test")
    requests = [one for ehr in world.ehrs.values() for one in ehr.transport.sent]
    said = [f"{one.url} ".encode() + (one.body or b"") for one in requests]
    naming = sum(any(one.encode() in raw for one in hidden) for raw in said)
    return len(requests), naming, sum(len(ehr.all_of("Patient")) for ehr in world.ehrs.values())


def _sharing(status: str) -> dict[str, Any]:
    when = {"withdrawn_at": "2026-03-01T11:46:00-05:00"} if status == "withdrawn" else {}
    return {**NO_SHARING, "status": status, **when}


def edited_just_before(patients: int) -> tuple[int, int]:
    """Amend each patient while a clinician edits between our last look and our write.

    Returns how many edits still stand as they were made, and how many amendments wait for a person.
    """
    world = a_world()
    visits = [a_short_visit(patient=f"pt-{number}") for number in range(patients)]
    for visit in visits:
        world.accept(visit)
    world.sync()
    edited: list[str] = []

    def edit(request: Request) -> Trouble:
        entries = codec.decode(request.body).get("entry", ()) if request.body else ()
        for entry in entries:
            resource = entry.get("resource", {})
            if resource.get("resourceType") == "Observation":
                edited.append(f"Observation/{resource['id']}")
                world.ehr.edit(edited[-1], note=[{"text": "Synthetic note: seen"}])
        return None

    for visit in visits:
        world.accept(amended(visit, rate(SECOND_RATE)))
        world.ehr.transport.choose = edit
        world.sync()
        world.ehr.transport.choose = lambda _request: None
        world.sync()
    kept = [one for one in edited if "note" in world.ehr.read(one)]
    assert len(set(edited)) == patients
    return len(kept), len(world.rows("held"))
