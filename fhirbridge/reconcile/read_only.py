"""One look at what an EHR shows of ours, compared with the ledger: nothing is noted or owed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from fhirbridge.destinations import registry
from fhirbridge.outbox.contents import Identity
from fhirbridge.reconcile import lines
from fhirbridge.reconcile.act import Rooms
from fhirbridge.reconcile.asking import Asking
from fhirbridge.reconcile.compare import Kind
from fhirbridge.reconcile.lines import Line

CHUNK = 200
MOVED = "written by us meanwhile"
# What the EHR should show, be it in its own way of keeping it.
AS_IT_SHOULD_BE = frozenset({Kind.EQUAL, Kind.AHEAD, Kind.AWAITED, Kind.ALTERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an EHR showed of one resource. `elements` names what differs, never a value."""

    destination: str
    identity: Identity
    ehr_id: str
    expected: str  # the version that the ledger has
    version: str  # the one that was shown, or ""
    kind: str
    elements: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Say whether the EHR holds what the ledger says."""
        return self.kind == MOVED or Kind(self.kind) in AS_IT_SHOULD_BE


def look(rooms: Rooms, name: str, identities: Collection[Identity]) -> list[Seen]:
    """Read these of ours at one EHR. Raises NoAnswerError, DestinationError."""
    with rooms.store.read() as tx:
        where = registry.get(tx, name)
        chosen = lines.of(tx, name, identities)
    asking = Asking(rooms.ehr_for(where))
    found: list[Seen] = []
    for start in range(0, len(chosen), CHUNK):
        found += _part(rooms, where, asking, chosen[start : start + CHUNK])
    return found


def _part(
    rooms: Rooms, where: registry.Destination, asking: Asking, part: Sequence[Line]
) -> list[Seen]:
    with rooms.store.read() as tx:
        wanted = lines.wanted(tx, rooms.contents, where, part)
    shown = asking.read(wanted)
    ahead = asking.ahead(rooms.clock.now())
    found = []
    with rooms.store.read() as tx:
        for line in part:
            theirs = shown[line.identity]
            kind, elements = MOVED, tuple[str, ...]()
            if lines.is_same(tx, where.name, line):
                said = lines.verdict(
                    tx,
                    rooms.contents,
                    where,
                    rooms.theirs,
                    line=line,
                    theirs=theirs,
                    by=line.written_by(ahead),
                )
                kind, elements = said.kind.value, said.elements
            one = Seen(
                destination=where.name,
                identity=line.identity,
                ehr_id=theirs.ehr_id or line.ehr_id,
                expected=line.version,
                version=theirs.version,
                kind=kind,
                elements=elements,
            )
            found.append(one)
    return found
