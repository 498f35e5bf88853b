"""What delivers in the background, on either engine: threads, real databases, an EHR in a file.

Two ways to wake it: the bell within one process on SQLite, procrastinate's jobs on PostgreSQL.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event

from sqlalchemy import Connection, text

from fhirbridge.deliver import worker
from fhirbridge.deliver.loop import Loop
from fhirbridge.outbox.claim import LaneName
from fhirbridge.outbox.waking import Bell, Look, Waking
from fhirbridge.sandbox.storage import SqliteStorage
from fhirbridge.store.engine import Store
from fhirbridge.store.jobs import Jobs
from tests.factories import Record, World, a_short_visit
from tests.journey.kill_points import killed
from tests.mapping_sets import few_mappings

SECONDS = 60
OFTEN = 0.1


class Way:
    """The real way to wake, on which a test lets wake-ups get lost, come twice, or come late."""

    def __init__(self, store: Store) -> None:
        self.is_jobs = store.engine.dialect.name == "postgresql"
        self.real: Waking = Jobs(store) if self.is_jobs else Bell()
        self.sweep_seconds = self.real.sweep_seconds
        self.fate = "good"
        self.look: Look = lambda _destination: None
        self.heard: Counter[str] = Counter()
        self._held: list[str] = []

    def wake(self, tx: Connection, destination: str, lane: str) -> None:
        if self.fate in ("good", "twice"):
            self.real.wake(tx, destination, lane)
        if self.fate == "twice":
            if self.is_jobs:  # as if the other one were taken already
                tx.execute(text("UPDATE procrastinate_jobs SET queueing_lock = NULL"))
            self.real.wake(tx, destination, lane)
        if self.fate == "late":
            self._held.append(destination)

    def arrive_late(self) -> None:
        """Let what was held back arrive now."""
        for destination in self._held:
            self.look(destination)

    def listen(self, look: Look) -> None:
        def hear(destination: str) -> None:
            self.heard[destination] += 1
            look(destination)

        self.look = hear
        self.real.listen(hear)

    def stop(self) -> None:
        self.real.stop()


class Site:
    """One bridge on one of both engines, and what runs for it in the background."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.world = World(url=url, mapped=few_mappings, waking=Way)
        self.connect("ehr")

    @property
    def way(self) -> Way:
        assert isinstance(self.world.waking, Way)
        return self.world.waking

    def connect(self, name: str) -> None:
        """Add an EHR whose content is in a file, so that it outlives a worker that is killed."""
        self.world.connect(name)
        self.reopen_ehr(name)

    def reopen_ehr(self, name: str = "ehr") -> None:
        """Open its file in this process."""
        far = self.world.ehrs[name]
        self._storage = SqliteStorage(self.folder / f"{name}.db")
        far.storage = self._storage  # type: ignore[assignment]
        far.behave()

    def another(self, *, seed: int = 2) -> "Site":
        """The same database and EHRs as a second program sees them."""
        other = object.__new__(Site)
        other.url, other.folder = self.url, self.folder
        other.world = World(url=self.url, mapped=few_mappings, waking=Way, seed=seed)
        other.world.ehrs = self.world.ehrs
        return other

    def close(self) -> None:
        self.world.store.close()

    # --- work -------------------------------------------------------------------------------------

    def accept(self, *records: Record) -> None:
        for one in records:
            self.world.accept(one)

    def accept_of(self, patients: int, *, first: int = 0) -> None:
        """Take in one short visit of each of so many patients."""
        self.accept(*(a_short_visit(patient=f"pt-{n}") for n in range(first, first + patients)))

    @contextmanager
    def working(self, *, loops: int = 1) -> Iterator[list[Loop]]:
        """Deliver in the background until the block ends."""
        made = [Loop(self.world.rooms) for _ in range(loops)]
        for one in made:
            one.start()
        try:
            yield made
        finally:
            for one in made:
                one.stop(SECONDS)

    def until(self, happened: Callable[[], bool], *, patience: float = SECONDS) -> None:
        """Wait for it. What never happens fails."""
        pause = OFTEN * patience / SECONDS  # where there is much, looking takes long
        for _ in range(int(patience / pause)):
            if happened():
                return
            Event().wait(pause)
        left = [one for one in self.world.rows() if one.state != "delivered"]
        raise AssertionError([(row.state, row.reason, row.due_at) for row in left[:50]])

    def until_delivered(self, *, patience: float = SECONDS) -> None:
        """Wait for the end, while time passes for what waits for its time."""

        def passes() -> bool:
            self.world.clock.advance(timedelta(seconds=1))
            return self.is_delivered()

        self.until(passes, patience=patience)

    def is_delivered(self) -> bool:
        states = set(self.world.states())
        return states == {"delivered"} and not self.leased()

    def leased(self) -> list[str]:
        with self.world.store.read() as tx:
            return list(tx.scalars(text("SELECT lane FROM lane WHERE leased_until <> ''")))

    def jobs(self) -> list[tuple[str, str]]:
        """What waits of wake-ups in the database: status and arguments."""
        if not self.way.is_jobs:
            return []
        chosen = text("SELECT status::text, args::text FROM procrastinate_jobs ORDER BY id")
        with self.world.store.read() as tx:
            return [(row.status, row.args) for row in tx.execute(chosen)]

    def killed_at(self, step: str, *, at: int = 1) -> None:
        """Deliver in a process of its own that is killed at this step, the n-th time."""

        def work() -> None:
            seen: Counter[str] = Counter()
            noted = worker.Hand._note

            def die(hand: worker.Hand, name: LaneName, made: str) -> None:
                seen[made] += 1
                if made == step and seen[made] == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                noted(hand, name, made)

            worker.Hand._note = die  # type: ignore[assignment, method-assign]  # of that process alone
            with self.working():
                Event().wait(SECONDS)

        assert self.killed(work)

    def killed(self, work: Callable[[], None]) -> bool:
        """Do this in a process of its own; say whether it was killed."""
        self.world.store.close()
        self._storage.close()

        def alone() -> None:
            self.reopen_ehr()
            work()

        try:
            return killed(alone)
        finally:
            self.reopen_ehr()
            self.world.rng.token(1000)  # or it would give out again what the dead one did

    # --- what is so ---------------------------------------------------------------------------

    def is_there_once(self, name: str = "ehr", *, versions: int = 1) -> bool:
        """Say whether each resource was written once, but what was amended so often."""
        far = self.world.ehrs[name]
        found = {len(far.history(one)) for one in far.references()}
        return bool(found) and max(found) == versions and self.is_delivered()

    def patients(self, name: str = "ehr") -> int:
        return len(self.world.ehrs[name].all_of("Patient"))
