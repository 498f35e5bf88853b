"""What goes together and in which order: first what others point to. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirbridge.deliver.bundle import Send
from fhirbridge.fhir.references import literal_references
from fhirbridge.outbox.contents import Identity

DOSE = "MedicationAdministration"
EVENT_TYPES = ("AdverseEvent", "Observation")

# One resource, or several of which either all go in one transaction or none.
Unit = tuple[Send, ...]
Edges = Mapping[Identity, Sequence[Identity]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The units that may go, and, by position, what each of the others waits for."""

    units: tuple[Unit, ...]
    blocked: dict[int, Identity]


def units(sends: Sequence[Send]) -> tuple[Unit, ...]:
    """Group what must go together, in an order in which it may go.

    Together go resources that point to each other, which an EHR takes in no order, and a dose with
    the events that it is suspected of: the dose alone would say that nothing happened.
    """
    by_identity = {send.identity: send for send in sends}
    edges: dict[Identity, list[Identity]] = {}
    for send in sends:
        edges.setdefault(send.identity, []).extend(t for t in send.named if t in by_identity)
        for dose in suspected(send.body):
            if dose in by_identity:
                edges.setdefault(dose, []).append(send.identity)
    return tuple(
        tuple(send for send in sends if send.identity in circle) for circle in _circles(edges)
    )


def suspected(body: dict[str, Any]) -> frozenset[Identity]:
    """Return the doses of which this says that something went wrong; empty for anything else."""
    kind = body.get("resourceType")
    if kind not in EVENT_TYPES:
        return frozenset()
    said = body.get("partOf") if kind == "Observation" else body.get("suspectEntity")
    named = (Identity(*found) for found in literal_references(said))
    return frozenset(one for one in named if one.type == DOSE)


def ready(found: Sequence[Unit], refused: Collection[int]) -> Ready:
    """Leave out what the EHR refused, by position, and whatever points to it, however far."""
    waits: dict[Identity, Identity] = {}
    blocked: dict[int, Identity] = {}
    may_go = []
    for unit in found:
        cause = _cause(unit, refused, waits)
        if cause is None:
            may_go.append(unit)
            continue
        for send in unit:
            waits[send.identity] = cause
            if send.position not in refused:
                blocked[send.position] = cause
    return Ready(units=tuple(may_go), blocked=blocked)


def _cause(
    unit: Unit, refused: Collection[int], waits: Mapping[Identity, Identity]
) -> Identity | None:
    for send in unit:
        if send.position in refused:
            return send.identity
    for send in unit:
        for named in send.named:
            if named in waits:
                return waits[named]
    return None


def first(found: Sequence[Unit], *, most_entries: int, most_bytes: int) -> tuple[Unit, ...]:
    """Take whole units from the front while they fit; one always goes, whatever its size."""
    taken: list[Unit] = []
    entries = size = 0
    for unit in found:
        entries += len(unit)
        size += size_of(unit)
        if taken and (entries > most_entries or size > most_bytes):
            break
        taken.append(unit)
    return tuple(taken)


def apart(found: Sequence[Unit]) -> tuple[Unit, ...]:
    """Take what may go now, each alone, where the EHR takes nothing together.

    That is what points to nothing unsent. A unit begins once all of it can follow, and one that is
    begun goes before all others: between a dose and its event nothing else is tried. Where all
    point to each other the first goes, and the EHR says whether it takes that.
    """
    unsent = {send.identity for unit in found for send in unit}
    free: list[Unit] = []
    for unit in found:
        own = {send.identity for send in unit}
        if any(_points_to(send, unsent - own) for send in unit):
            continue
        loose = [send for send in unit if not _points_to(send, own - {send.identity})]
        free += [(send,) for send in loose or unit[:1]]
    return tuple(sorted(free, key=lambda unit: not suspected(unit[0].body)))


def _points_to(send: Send, others: Collection[Identity]) -> bool:
    return any(named in others for named in send.named)


def size_of(sends: Sequence[Send]) -> int:
    """Return how many bytes these resources are."""
    return sum(len(send.written) for send in sends)


def _circles(edges: Edges) -> Iterator[frozenset[Identity]]:
    """Yield what points to each other, each time after all that it points to (Tarjan)."""
    number: dict[Identity, int] = {}
    lowest: dict[Identity, int] = {}
    open_: list[Identity] = []

    def visit(node: Identity) -> Iterator[frozenset[Identity]]:
        number[node] = lowest[node] = len(number)
        open_.append(node)
        for other in edges[node]:
            if other not in number:
                yield from visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in open_:
                lowest[node] = min(lowest[node], number[other])
        if lowest[node] == number[node]:
            start = open_.index(node)
            circle = frozenset(open_[start:])
            del open_[start:]
            yield circle

    for node in edges:
        if node not in number:
            yield from visit(node)
