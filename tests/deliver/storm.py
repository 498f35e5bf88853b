"""A storm and its end: clinics, workers, network and clock in an order that a seed decides."""

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from fhirbridge.destinations.modes import Mode
from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec, projection
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import FencedError
from fhirbridge.outbox.contents import Identity
from fhirbridge.store.tables import delivery, delivery_item
from tests.factories import AFTER_A_LEASE, Record, World, a_pulse, a_short_visit, amended, rate
from tests.fakes import Fault, Says, Trouble
from tests.mapping_sets import few_mappings

PATIENTS = ("pt-1", "pt-2", "pt-3")
STEPS = 140
MOST_RECORDS = 12
TROUBLES: list[Trouble] = [
    *Fault,
    Says(status=500),
    Says(status=503),
    Says(status=429, headers={"retry-after": "20"}),
    Says(status=409),
    Says(status=200, body=b"<html>sign in</html>"),
    Says(status=422),
    Says(status=413),
    Says(status=404),
    Says(status=418),
]


def after_a_step(worker: Iterator[str]) -> Iterator[str] | None:
    """Let a worker do one step; return it, or None where its run through the lane is over."""
    try:
        return worker if next(worker, None) is not None else None
    except FencedError:
        return None


class Storm:
    """One run. `heal` ends it; `faults` then says what is wrong."""

    def __init__(self, seed: int, *, assigned: bool = False) -> None:
        """With `assigned` the EHR names resources itself."""
        self.chance = random.Random(seed)
        self.world = World(seed=seed, mapped=few_mappings)
        self.world.connect()
        if assigned:
            self.world.ehr.behave(assigns_ids=True)
            found = self.world.bridge.probe_destination("ehr", actor="test")
            assert found.mode is Mode.ASSIGNED
            self.world.ehr.transport.sent.clear()
        self.records: dict[tuple[str, int], Record] = {}
        self.came = 0
        self.workers: list[Iterator[str] | None] = [None, None]
        self.dead: list[Iterator[str]] = []  # kept: a killed worker tidies nothing up
        # A few kinds of trouble at a time, so that rare mixes occur.
        self.troubles = self.chance.sample(TROUBLES, self.chance.randint(1, 4))
        self.often = self.chance.choice((0.2, 0.5, 0.8))
        self.world.ehr.transport.choose = self._trouble

    def _trouble(self, _request: Request) -> Trouble:
        return self.chance.choice(self.troubles) if self.chance.random() < self.often else None

    def blow(self) -> None:
        actors = [self._clinic, self._work, self._kill, self._tick, self._late, self._retry]
        for _ in range(STEPS):
            self.chance.choices(actors, weights=(10, 60, 1, 8, 2, 1))[0]()

    def heal(self) -> None:
        """The network is well, workers are fresh, what was late arrives."""
        far_side = self.world.ehr.transport
        far_side.choose = lambda _request: None
        # Some of what was late comes only when all else is over.
        self.chance.shuffle(far_side.late)
        half = len(far_side.late) // 2
        last, far_side.late = far_side.late[:half], far_side.late[half:]
        far_side.land_late()
        for _ in range(3):
            self.world.clock.advance(AFTER_A_LEASE)
            self.world.settle()
            if not self.world.retry():
                break
        far_side.late = last
        far_side.land_late()

    def _clinic(self) -> None:
        if self.came >= MOST_RECORDS:
            return
        self.came += 1
        key = (self.chance.choice(PATIENTS), self.chance.choice((1, 1, 1, 2)))
        known = self.records.get(key)
        new = a_short_visit(key[1], key[0]) if known is None else amended(known, self._change)
        self.records[key] = new
        self.world.accept(new)

    def _change(self, record: Record) -> None:
        record["status"] = "active"
        kind = self.chance.randint(0, 4)
        if kind == 0:
            record["vitals"].append(a_pulse(f"v-{record['version']}", 80, hour=10))
        elif kind == 1 and len(record["vitals"]) > 1:
            record["vitals"].pop(0)
        elif kind == 2:
            record["patient"]["language"] = self.chance.choice(("en", "es", "fr"))
        elif kind == 3:
            record["status"] = "entered-in-error"
        else:
            rate(self.chance.randint(50, 120))(record)

    def _work(self) -> None:
        number = self.chance.randrange(2)
        worker = self.workers[number] or self._hired()
        if worker is None:
            return
        self.workers[number] = after_a_step(worker)

    def _hired(self) -> Iterator[str] | None:
        with self.world.store.read() as tx:
            lanes = claim.due_lanes(tx, self.world.clock.now())
        return self.world.drain(self.chance.choice(lanes)) if lanes else None

    def _kill(self) -> None:
        number = self.chance.randrange(2)
        worker = self.workers[number]
        if worker is not None:
            self.dead.append(worker)
        self.workers[number] = None

    def _tick(self) -> None:
        self.world.clock.advance(timedelta(seconds=self.chance.choice((1, 5, 20, 70))))

    def _late(self) -> None:
        """Let one delayed copy arrive, whichever."""
        far_side = self.world.ehr.transport
        if far_side.late:
            chosen = far_side.late.pop(self.chance.randrange(len(far_side.late)))
            others, far_side.late = far_side.late, [chosen]
            far_side.land_late()
            far_side.late = others

    def _retry(self) -> None:
        self.world.retry()

    # --- what must hold in the end ------------------------------------------------------------

    def faults(self) -> Iterator[str]:
        world = self.world
        for row in world.rows("pending", "sending", "unknown", "held", "parked"):
            yield f"{row.state}: {row.reason}"
        if wrong := world.differing():
            yield f"not what counts now: {wrong}"
        yield from self._out_of_order()
        yield from self._mixed_up()
        yield from self._doubled()
        world.ehr.transport.sent.clear()
        world.clock.advance(timedelta(days=1))
        world.sync()
        if world.ehr.transport.sent:
            yield "a second sync asked something"

    def _out_of_order(self) -> Iterator[str]:
        """Each resource's history is what was pinned, in that order, each at most once."""
        names = self.world.ehr_names()
        for identity, bodies in self._pinned().items():
            rest = iter(bodies)
            for theirs in self.world.ehr.history(f"{identity.type}/{names.id_of(identity)}"):
                if not any(projection.same(names.written(ours), theirs) for ours in rest):
                    yield f"{identity.type} has a version too many, or in another order"
                    break

    def _doubled(self) -> Iterator[str]:
        """What is there of ours is there once, and nothing is there that we do not know of."""
        names = self.world.ehr_names()
        known = {f"{one.type}/{names.id_of(one)}" for one in self.world.ledger()}
        living = self.world.ehr.references()
        for unknown in sorted(set(living) - known):
            yield f"{unknown} is in no line of the ledger"

    def _pinned(self) -> dict[Identity, list[dict[str, Any]]]:
        chosen = (
            select(delivery_item.c.type, delivery_item.c.resource_id, delivery_item.c.resource)
            .join(delivery, delivery.c.id == delivery_item.c.delivery_id)
            .order_by(delivery.c.sequence)
        )
        found: dict[Identity, list[dict[str, Any]]] = {}
        with self.world.store.read() as tx:
            rows = list(tx.execute(chosen))
        for row in rows:
            body = self.world.body(row.resource)
            found.setdefault(Identity(row.type, row.resource_id), []).append(body)
        return found

    def _mixed_up(self) -> Iterator[str]:
        for bundle in self.world.ehr.requests("transaction"):
            text = codec.encode(bundle).decode()
            named = {part.split('"')[0] for part in text.split('"Patient/')[1:]}
            if len(named) > 1:
                yield f"one transaction names {len(named)} patients"
