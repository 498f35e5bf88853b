"""kill -9 at one boundary after another of a real process, and what is left behind each time."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text

from fhirbridge.fhir import codec, projection
from fhirbridge.sandbox.model import SandboxEhr
from fhirbridge.sandbox.storage import MemoryStorage
from fhirbridge.store.engine import Store
from tests.factories import AFTER_A_LEASE, Record, a_short_visit, amended, rate
from tests.journey.installation import Installation, connect, install
from tests.journey.kill_points import NEVER, Boundaries, killed
from tests.operate.ehr_at_work import EhrAtWork

EARLIER = 10
# What one transaction wrote must be there together: each says which row lacks its other half.
HALVES = {
    "a record without evidence": """SELECT id FROM record WHERE id NOT IN
        (SELECT record_id FROM evidence WHERE action = 'record.accepted')""",
    "a record without a delivery": """SELECT id FROM record WHERE id NOT IN
        (SELECT record_id FROM delivery)""",
    "a record without a resource": """SELECT id FROM record WHERE id NOT IN
        (SELECT record_id FROM resource)""",
    "a delivery without its record": """SELECT id FROM delivery WHERE record_id NOT IN
        (SELECT id FROM record)""",
    "a delivery without its resources": """SELECT id FROM delivery WHERE id NOT IN
        (SELECT delivery_id FROM delivery_item)""",
    "a delivery without evidence": """SELECT id FROM delivery WHERE id NOT IN
        (SELECT delivery_id FROM evidence WHERE action = 'delivery.queued')""",
    "evidence without its record": """SELECT id FROM evidence WHERE action = 'record.accepted'
        AND record_id NOT IN (SELECT id FROM record)""",
}


@dataclass
class Toll:
    """What came of many kills."""

    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)  # by the kind of the boundary
    wrong: list[str] = field(default_factory=list)
    resent: Counter[int] = field(default_factory=Counter)  # units sent twice, at most, in a lane

    def told(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        return f"{self.runs} kills ({kinds}): {len(self.wrong)} things wrong"


class Killing:
    """One installation, copied for each run; an EHR that is not killed."""

    def __init__(self, folder: Path, mappings: Path, ehr: EhrAtWork, records: list[Record]) -> None:
        self._folder = folder
        self._ehr = ehr
        self._raws = [codec.encode(one) for one in records]
        self._made = install(folder / "made", mappings=mappings)
        with self._made.bridge() as bridge:
            connect(bridge, ehr.url)
        self.boundaries = self._undisturbed()

    def run(self, place: int, toll: Toll) -> None:
        """Kill at this place, look, start again, look again."""
        number = toll.runs = toll.runs + 1
        home, acked, name = self._killed(f"run-{number}", place)
        toll.kills[" ".join(name.split()[:2]) if name.startswith("statement") else name] += 1
        acknowledged = len(acked.read_text().split())
        where = f"place {place}, {name}"
        toll.wrong += [f"{where}: {one}" for one in halves(home)]
        asked = len(self._ehr.writes)
        toll.wrong += [f"{where}: {one}" for one in self._again(home, acknowledged)]
        toll.resent[self._sent_twice(asked)] += 1
        self._ehr.asked.clear()

    def _killed(self, run: str, place: int) -> tuple[Installation, Path, str]:
        """Kill a run at this place; return it, what it acknowledged, and the boundary's name.

        Lanes are drained side by side, so one run has a few boundaries more than another: where it
        ended before this place, it is killed a little earlier.
        """
        for earlier in range(0, place, EARLIER):
            home = self._fresh(f"{run}-{earlier}")
            acked = self._folder / f"{run}-{earlier}.acknowledged"
            acked.touch()
            if killed(partial(self._work, home, place - earlier, acked)):
                return home, acked, acked.with_suffix(".died").read_text()
        raise AssertionError(place)

    def _fresh(self, name: str) -> Installation:
        self._ehr.storage = MemoryStorage()
        self._ehr.model = SandboxEhr(storage=self._ehr.storage, clock=self._made.clock)
        self._ehr.asked.clear()
        return self._made.copy(self._folder / name, tenant="main")

    def _undisturbed(self) -> list[str]:
        home = self._fresh("whole")
        assert not killed(partial(self._work, home, NEVER, self._folder / "whole.acknowledged"))
        return (self._folder / "whole.all").read_text().splitlines()

    def _work(self, home: Installation, place: int, acked: Path) -> None:
        boundaries = Boundaries(place, acked.with_suffix(".died"))
        with home.bridge() as bridge:
            bridge.warm_up()
            boundaries.watch(bridge)
            for raw in self._raws:
                bridge.accept(raw, actor="test")
                with acked.open("a") as file:
                    file.write("yes\n")
            bridge.sync()
        acked.with_suffix(".all").write_text("\n".join(boundaries.passed))

    def _again(self, home: Installation, acknowledged: int) -> Iterator[str]:
        """Start again as a clinic and a supervisor would; yield what is lost or doubled."""
        home.clock.ahead = AFTER_A_LEASE
        with home.bridge() as bridge:
            if bridge.status().records < min(acknowledged, 1):
                yield "an acknowledged record is lost"
            receipts = [bridge.accept(raw, actor="test") for raw in self._raws]
            for number, receipt in enumerate(receipts):
                if number < acknowledged and receipt.state != "repeated":
                    yield "an acknowledged record was taken for new"
            bridge.sync()
            if bridge.status().waiting:
                yield "something waits for a hand"
            bodies: dict[str, list[Any]] = {}
            for receipt in receipts:
                shown: dict[str, Any] = bridge.record(receipt.id, actor="test") or {}
                for one in shown["resources"]:
                    contents = bodies.setdefault(one["resource"], [])
                    if one["body"] not in contents:
                        contents.append(one["body"])
        yield from self._differs(bodies)

    def _differs(self, bodies: dict[str, list[Any]]) -> Iterator[str]:
        there = self._ehr.versions()
        # A Provenance belongs to a delivery and not to the record, whose page does not show it.
        if {one for one in there if not one.startswith("Provenance/")} != set(bodies):
            yield "the EHR holds other resources than ours"
        if [one for one, count in there.items() if one.startswith("Provenance/") and count > 1]:
            yield "a Provenance was written twice"
        for reference, contents in bodies.items():
            kind, _, own = reference.partition("/")
            theirs = [dict(one.resource or {}) for one in self._ehr.storage.versions(kind, own)]
            if len(theirs) > len(contents) or not theirs:
                yield f"{kind} has {len(theirs)} versions, not {len(contents)}"
            elif not projection.same(contents[-1], theirs[-1]):
                yield f"{kind} is not what counts now"

    def _sent_twice(self, before: int) -> int:
        """Count what went before the kill and once more after it: the most in one lane."""
        first, then = self._ehr.writes[:before], self._ehr.writes[before:]
        seen = [codec.encode(one.body) for one in first]
        twice: Counter[str] = Counter()
        for one in then:
            if codec.encode(one.body) in seen:
                about = re.findall(r"Patient/[a-z0-9]+", repr(one.body))
                twice[min(about, default="what all share")] += 1
        return max(twice.values(), default=0)


def halves(home: Installation) -> list[str]:
    """Name what has lost its other half."""
    store = Store(home.settings.database_url)
    with store.read() as tx:
        found = [
            name for name, query in HALVES.items() if tx.execute(text(query)).first() is not None
        ]
    store.close()
    return found


def a_visit_and_its_amendment() -> list[Record]:
    record = a_short_visit()
    return [record, amended(record, rate(90))]


def a_backlog(patients: int, visits: int) -> list[Record]:
    """Some visits of some patients, by turns."""
    return [
        a_short_visit(visit + 1, f"pt-{patient}")
        for visit in range(visits)
        for patient in range(patients)
    ]
