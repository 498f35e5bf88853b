"""All that a simulation has at hand, and what is new since the last step."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirbridge.egress.exchange import Request
from fhirbridge.fhir import codec
from fhirbridge.outbox.claim import LaneName
from tests.simulation.clinic import Clinic
from tests.simulation.naming import untagged
from tests.simulation.place import Place
from tests.simulation.wire import Author, Wire


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """One run through a lane, as far as it came."""

    name: str
    lane: LaneName
    steps: Iterator[str]
    delivery: str = ""  # the one that it claimed last
    might_share: bool = False  # when it claimed it
    told: list[int] = field(default_factory=list)  # what it was answered since then


@dataclass(slots=True, kw_only=True)
class Scene:
    """The whole stage."""

    place: Place
    clinic: Clinic
    wire: Wire
    counts: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    at_work: Worker | None = None
    unfinished: Counter[LaneName] = field(default_factory=Counter)
    # By delivery, what the EHR answered since it began or was let go again: it may be sent in
    # parts by several workers, and what came of them is known only when the last has gone.
    heard: dict[str, list[int]] = field(default_factory=dict)

    def say(self, text: str) -> None:
        self.trace.append(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One change of a delivery's state, with what its evidence says of it."""

    delivery: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What one step changed."""

    moves: list[Move]
    evidence: list[Mapping[str, Any]]
    written: list[Author]
    requests: list[Request]
    stored: bool  # something was written to the database

    @property
    def any(self) -> bool:
        return self.stored or bool(self.requests or self.written)

    def of(self, action: str) -> list[Mapping[str, Any]]:
        return [row for row in self.evidence if row["action"] == action]

    def told(self) -> Iterator[dict[str, Any]]:
        """The FHIR documents that were sent, reads among them."""
        for request in self.requests:
            if request.body and not request.url.endswith("/_search"):
                yield codec.decode(request.body)

    def sent(self) -> list[dict[str, Any]]:
        """The resources that were sent to be written."""
        found: list[dict[str, Any]] = []
        for document in self.told():
            if document["resourceType"] != "Bundle":
                found.append(document)
            found += [one["resource"] for one in document.get("entry", ()) if "resource" in one]
        return [untagged(one) for one in found]


EVIDENCE = (
    "id",
    "at",
    "actor",
    "action",
    "outcome",
    "record_id",
    "delivery_id",
    "destination",
    "detail",
    "payload_owner",
    "payload_digest",
)


class Reader:
    """Reads what is new, once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._changes = -1
        self._moves = self._requests = 0
        ((self._evidence,),) = scene.place.memory.rows("SELECT ifnull(max(rowid), 0) FROM evidence")
        self._written = len(scene.wire.written)

    def news(self) -> News:
        wire = self._scene.wire
        stored = self._scene.place.memory.changes() != self._changes
        moves, evidence = self._from_database() if stored else ([], [])
        written, self._written = wire.written[self._written :], len(wire.written)
        requests, self._requests = wire.sent[self._requests :], len(wire.sent)
        return News(
            moves=moves, evidence=evidence, written=written, requests=requests, stored=stored
        )

    def _from_database(self) -> tuple[list[Move], list[Mapping[str, Any]]]:
        store = self._scene.place.memory
        self._changes = store.changes()
        moves = store.rows("SELECT * FROM seen LIMIT -1 OFFSET ?", self._moves)
        names = ", ".join(EVIDENCE)
        told = store.rows(
            f"SELECT {names}, salt, leaf, rowid FROM evidence WHERE rowid > ? ORDER BY rowid",
            self._evidence,
        )
        self._moves += len(moves)
        self._evidence = told[-1][-1] if told else self._evidence
        return (
            [Move(delivery=one[0], before=one[1], after=one[2]) for one in moves],
            [dict(zip((*EVIDENCE, "salt", "leaf"), row, strict=False)) for row in told],
        )
