"""One simulated clinic, bridge and EHR: a seed decides everything that happens to them.

A storm, then healing, then quiet; the invariants are asked after each step and at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from random import Random

from fhirbridge.deliver import run
from fhirbridge.destinations.modes import Mode
from fhirbridge.errors import BridgeError
from fhirbridge.outbox import claim
from fhirbridge.outbox.claim import FencedError, LaneName
from fhirbridge.outbox.states import STUCK
from fhirbridge.store.engine import StoreBusyError
from tests.factories import A_DAY, AFTER_A_LEASE
from tests.simulation import wire as wires
from tests.simulation.clinic import Clinic, Message
from tests.simulation.endings import AT_END, OPEN, refused_for_good
from tests.simulation.invariants import EACH_STEP, may_share
from tests.simulation.looking import Looker
from tests.simulation.people import People
from tests.simulation.place import Doom, KilledError, Place
from tests.simulation.scene import Reader, Scene, Worker
from tests.simulation.wire import Wire

OTHER_FAULTS = (
    "lost message",
    "doubled message",
    "disorder",
    "kill",
    "busy",
    "jump",
    "down",
    "edit",
    "removal",
)
FEWEST_STEPS, MOST_STEPS = 30, 70
ROUNDS = 40
RESTORED_ONE_IN = 3  # seeds: in the others the EHR never goes back to a backup
# Of so many seeds one, from that on, has an EHR that names what is new, or also changes nothing.
ASSIGNED_ONE_IN, ASSIGNED_FROM = 7, 5
CREATE_ONLY_ONE_IN, CREATE_ONLY_FROM = 11, 8
MOST_IN_A_LANE = 100  # steps of one worker
SHOWN = 40  # lines of a trace in a failure


class BrokenError(AssertionError):
    """An invariant does not hold. Says the seed, what is wrong, and how it came to that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One seed that ended well."""

    seed: int
    counts: Counter[str]
    trace: tuple[str, ...]

    @property
    def digest(self) -> str:
        return sha256("\n".join(self.trace).encode()).hexdigest()


def _mode(seed: int) -> Mode:
    if seed % ASSIGNED_ONE_IN == ASSIGNED_FROM:
        return Mode.ASSIGNED
    only_creates = seed % CREATE_ONLY_ONE_IN == CREATE_ONLY_FROM
    return Mode.CREATE_ONLY if only_creates else Mode.TRANSACTION


def simulate(seed: int) -> Ran:
    """Run one seed. Raises BrokenError where an invariant does not hold."""
    return Simulation(seed).run()


class Simulation:
    """One seed under way."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._chance = Random(seed)
        asks, known = self._chance.random() < 0.5, self._chance.random() < 0.8
        place = Place(seed=seed, requires_consent=asks, known=known, mode=_mode(seed))
        clinic = Clinic(self._chance, patients=self._chance.choice((1, 1, 2)))
        self._wire = Wire(place, self._chance)
        self.scene = Scene(place=place, clinic=clinic, wire=self._wire)
        self._reader = Reader(self.scene)
        self._workers: list[Worker | None] = [None, None]
        self._idle: tuple[int, datetime] | None = None  # when nothing was due
        self._dead: list[Worker] = []  # kept: a killed worker tidies nothing up
        self._looker = Looker(self.scene)
        self._people = People(self.scene, self._chance, self._looker)
        self._restores = seed % RESTORED_ONE_IN == 0
        self._faults = self._swarm()
        self._actors = self._cast()

    def _swarm(self) -> set[str]:
        """Choose few kinds of trouble, so that rare mixes occur."""
        kinds = [*wires.KINDS, "late", "late"]  # the kind that finds most
        self._wire.kinds = self._chance.sample(kinds, self._chance.choice((0, 1, 1, 2, 2, 3)))
        self._wire.often = self._chance.choice((0.4, 0.6, 0.8))
        others = self._chance.sample(OTHER_FAULTS, self._chance.randint(1, 5))
        chosen = [*self._wire.kinds, *others]
        self.scene.say(f"this seed has: {', '.join(sorted(chosen))}")
        return set(chosen)

    def _cast(self) -> list[tuple[int, Callable[[], None]]]:
        cast: list[tuple[int, Callable[[], None]]] = [
            (5, self._speak),
            (7, self._post),
            (60, self._work),
            (9, self._tick),
            (4, self._late),
            (2, self._people.operate),
        ]
        more: dict[str, tuple[int, Callable[[], None]]] = {
            "kill": (3, self._kill),
            "busy": (2, self._busy),
            "jump": (2, self._jump),
            "down": (3, self._switch),
            "edit": (3, self._people.edit),
            "removal": (1, self._people.remove),
        }
        cast += [actor for name, actor in more.items() if name in self._faults]
        if self._restores:
            cast += [(3, self._people.back_up), (2, self._people.restore), (5, self._look)]
        return cast

    def run(self) -> Ran:
        """Storm, heal, be quiet."""
        weights = [weight for weight, _ in self._actors]
        for _ in range(2):
            self._act(self._speak)
        self._act(self._post)
        for _ in range(self._chance.randint(FEWEST_STEPS, MOST_STEPS)):
            (actor,) = self._chance.choices(self._actors, weights)
            self._act(actor[1])
        self._heal()
        for ending in AT_END:
            self._judge(ending.__name__, ending(self.scene))
        self.scene.counts.update(self._wire.counts)
        return Ran(seed=self.seed, counts=self.scene.counts, trace=tuple(self.scene.trace))

    # --- a step and its judgement -------------------------------------------------------------

    def _act(self, actor: Callable[[], None]) -> None:
        self.scene.counts["steps"] += 1
        self.scene.at_work = None
        actor()
        self._wire.doomed, self.scene.place.memory.doom = False, None
        self._check()

    def _check(self) -> None:
        news = self._reader.news()
        for row in news.of("delivery.started"):
            if self.scene.at_work is not None:
                self.scene.at_work.delivery = row["delivery_id"]
        for move in news.moves:
            if move.before in STUCK:
                self.scene.heard.pop(move.delivery, None)
        if news.any:
            for check in EACH_STEP:
                self._judge(check.__name__, check(self.scene, news))
        self.scene.counts["deliveries"] += sum(one.after == "delivered" for one in news.moves)

    def _judge(self, name: str, faults: Iterator[str]) -> None:
        for fault in faults:
            raise self._broken(name, fault)

    def _broken(self, name: str, fault: str) -> BrokenError:
        lines = self.scene.trace[-SHOWN:]
        said = f"seed {self.seed}: {name}: {fault}"
        return BrokenError("\n".join([said, *lines, f"python -m tests.simulation {self.seed}"]))

    # --- the clinic ---------------------------------------------------------------------------

    def _speak(self) -> None:
        if (new := self.scene.clinic.speak()) is not None:
            self.scene.say(f"clinic writes {new}")

    def _post(self) -> None:
        """Send one message; one that is not acknowledged is sent again some time."""
        mailbox = self.scene.clinic.mailbox
        if not mailbox:
            return
        place = self._chance.randrange(len(mailbox)) if "disorder" in self._faults else 0
        one = mailbox[place]
        if self._happens("lost message", 0.3):
            self.scene.say(f"lost on its way: {one}")
            return
        self._take_in(one)
        if self._happens("doubled message", 0.4):
            self._take_in(self._chance.choice(self.scene.clinic.said))

    def _take_in(self, one: Message) -> None:
        scene = self.scene
        scene.place.memory.doom = self._doom(commits=1, often=0.3)
        scene.place.memory.door = partial(scene.clinic.acknowledged, one)
        try:
            receipt = scene.place.bridge.accept(one.raw, actor="clinic")
        except KilledError:
            scene.counts["kills"] += 1
            scene.say(f"killed while taking in {one}")
        except StoreBusyError:
            scene.say(f"too busy to take in {one}")
        else:
            scene.clinic.acknowledged(one, receipt.id)
            scene.say(f"taken in as {receipt.state}: {one}")
        scene.place.memory.doom = None

    # --- the workers --------------------------------------------------------------------------

    def _work(self) -> None:
        number = self._chance.randrange(2)
        worker = self._workers[number] or self._hired(number)
        self._workers[number] = worker
        if worker is None:
            return
        self._wire.doomed = self._happens("kill", 0.2, count=False)
        self.scene.place.memory.doom = self._doom(commits=2, often=0.15)
        if not self._step(worker):
            self._workers[number] = None

    def _hired(self, number: int) -> Worker | None:
        lanes = self._due()
        return self._worker(f"worker {number}", self._chance.choice(lanes)) if lanes else None

    def _worker(self, name: str, lane: LaneName) -> Worker:
        self.scene.unfinished[lane] += 1
        steps = run.drain(self.scene.place.rooms, lane)
        return Worker(name=name, lane=lane, steps=steps)

    def _due(self) -> list[LaneName]:
        place = self.scene.place
        moment = (place.memory.changes(), place.clock.now())
        if moment == self._idle:
            return []
        with place.store.read() as tx:
            lanes = claim.due_lanes(tx, place.clock.now())
        self._idle = None if lanes else moment
        return lanes

    def _step(self, worker: Worker) -> bool:
        """Do one step; False where this run through the lane is over."""
        scene = self.scene
        scene.at_work = worker
        heard = len(self._wire.answered)
        try:
            step = next(worker.steps, None)
        except KilledError:
            self._dead.append(worker)
            scene.counts["kills"] += 1
            scene.say(f"{worker.name} is killed in the middle of a step")
            return False
        except (FencedError, StoreBusyError) as error:
            scene.say(f"{worker.name} breaks off: {error.code}")
            return False
        except (BridgeError, LookupError, ValueError, TypeError) as error:
            code = error.code if isinstance(error, BridgeError) else repr(error)
            raise self._broken("n0_no_worker_breaks_off", code) from error
        scene.say(f"{worker.name} on {worker.lane.lane[:8]}: {step}")
        worker.told += self._wire.answered[heard:]
        scene.heard.setdefault(worker.delivery, []).extend(self._wire.answered[heard:])
        if step == "claimed":
            worker.might_share, worker.told = may_share(scene, worker), []
        if step in ("released", None):
            scene.unfinished[worker.lane] = 0
        return step not in ("released", None)

    def _kill(self) -> None:
        number = self._chance.randrange(2)
        worker = self._workers[number]
        if worker is not None:
            self._dead.append(worker)
            self._workers[number] = None
            self.scene.counts["kills"] += 1
            self.scene.say(f"{worker.name} is killed between two steps")

    def _doom(self, *, commits: int, often: float) -> Doom | None:
        if not self._happens("kill", often, count=False):
            return None
        return Doom(countdown=self._chance.randint(1, commits), after=self._chance.random() < 0.5)

    # --- time, storage, network ---------------------------------------------------------------

    def _tick(self) -> None:
        seconds = self._chance.choice((1, 5, 20, 70, 70))
        self.scene.place.clock.advance(timedelta(seconds=seconds))
        self.scene.say(f"{seconds} s pass")

    def _jump(self) -> None:
        seconds = self._chance.choice((-600, 3600))
        self.scene.place.clock.jump(timedelta(seconds=seconds))
        self.scene.counts["clock jumps"] += 1
        self.scene.say(f"the clock jumps by {seconds} s")

    def _busy(self) -> None:
        """One step finds the database locked or full."""
        self.scene.place.memory.busy = True
        self.scene.counts["busy storage"] += 1
        self._chance.choice((self._work, self._post))()
        self.scene.place.memory.busy = False

    def _switch(self) -> None:
        self._wire.up = not self._wire.up
        self.scene.say(f"the EHR is {'up' if self._wire.up else 'down'}")

    def _late(self) -> None:
        status = self._wire.land_one()
        if status is not None:
            self.scene.counts["late arrivals"] += 1
            self.scene.say(f"a late request arrives: {status}")

    # --- looks at the EHR ---------------------------------------------------------------------

    def _look(self) -> None:
        """Compare the EHR with the ledger; its process may die at any commit."""
        self.scene.place.memory.doom = self._doom(commits=6, often=0.3)
        try:
            broken = self._looker.look()
        except KilledError:
            self._looker.begin_again()
            self.scene.counts["kills"] += 1
            self.scene.say("killed while looking at the EHR")
        else:
            self.scene.counts["looks"] += 1
            if broken:
                raise self._broken("n0_no_look_breaks_off", broken)

    # --- the end of the storm -----------------------------------------------------------------

    def _heal(self) -> None:
        """Nothing fails any more, all messages come, workers are fresh, late requests land."""
        self.scene.say("the storm is over")
        self._wire.kinds, self._wire.up, self._faults = [], True, set()
        self._dead += [worker for worker in self._workers if worker is not None]
        while self.scene.clinic.mailbox:
            self._act(self._post)
        for _ in range(len(self._wire.late) // 2):
            self._act(self._late)
        self._calm_down()
        while self._wire.late:
            self._act(self._late)
        self._calm_down()
        if self._restores:
            self._compare()

    def _compare(self) -> None:
        """The EHR is compared as a whole, and gets what it lost."""
        self.scene.place.clock.advance(A_DAY)
        self._act(self._look)
        self._calm_down()

    def _calm_down(self) -> None:
        """Let time pass until nothing is left to do."""
        for _ in range(ROUNDS):
            if self._restores:
                self._act(self._look)
            self._act(self._people.put_right)
            for lane in self._due():
                self._drain(self._worker("a fresh worker", lane))
            if not self._left():
                return
            self._act(self._wait)
        raise self._broken("n15_all_is_quiet", f"{self._left()} after {ROUNDS} rounds")

    def _drain(self, worker: Worker) -> None:
        for _ in range(MOST_IN_A_LANE):
            going = self._step(worker)
            self._check()
            if not going:
                return
        raise self._broken("n15_all_is_quiet", "a lane that has no end")

    def _left(self) -> list[tuple[str, ...]]:
        query = f"SELECT id, state, reason FROM delivery WHERE {OPEN} OR state = 'parked'"
        rightly = refused_for_good(self.scene)
        return [row[1:] for row in self.scene.place.memory.rows(query) if row[0] not in rightly]

    def _wait(self) -> None:
        place = self.scene.place
        due = place.bridge.next_due()
        wait = AFTER_A_LEASE if due is None else due - place.clock.now()
        place.clock.advance(max(wait, timedelta(seconds=1)))

    # --- chance -------------------------------------------------------------------------------

    def _happens(self, fault: str, often: float, *, count: bool = True) -> bool:
        happens = fault in self._faults and self._chance.random() < often
        self.scene.counts[fault] += happens and count
        return happens
