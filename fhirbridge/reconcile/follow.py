"""Owe again what was written before it was known what is the EHR's own, or before that changed.

What belongs to a patient follows by itself at the next look; what all share, which many charts
name, when a person says so or when it changes.
"""

from itertools import groupby

from sqlalchemy import Connection, select

from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import Destination
from fhirbridge.destinations.theirs import OF_A_PATIENT
from fhirbridge.fhir import projection
from fhirbridge.matching.theirs import kept
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.states import UNCERTAIN
from fhirbridge.reconcile import lines
from fhirbridge.reconcile.act import Hands, Rooms
from fhirbridge.reconcile.compare import Kind, Shown, Theirs
from fhirbridge.reconcile.findings import Found
from fhirbridge.reconcile.lines import Line
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery


def look(rooms: Rooms, name: str, *, actor: str) -> list[str]:
    """Owe what of the patients at a destination is to follow; return the deliveries."""
    made: list[str] = []
    with rooms.store.read() as tx:
        changed = kept.to_follow(tx, name)
    of_patients = [one for one in changed if one.type in OF_A_PATIENT]
    for lane in dict.fromkeys(one.lane for one in of_patients):
        with rooms.store.begin() as tx:
            if _is_under_way(tx, name, lane):
                continue  # the next look
            ids = [one.id for one in of_patients if one.lane == lane]
            made += _follow(tx, rooms, registry.get(tx, name), lane=lane, actor=actor)
            kept.note_followed(tx, ids, at=moment.to_text(rooms.clock.now()))
    return made


def everything(rooms: Rooms, name: str, *, actor: str) -> list[str]:
    """Owe all that does not point to the EHR's own as it is known now; return the deliveries."""
    with rooms.store.begin() as tx:
        where = registry.get(tx, name)
        changed = kept.to_follow(tx, name)
        made = _follow(tx, rooms, where, lane="", actor=actor)
        kept.note_followed(tx, [one.id for one in changed], at=moment.to_text(rooms.clock.now()))
        return made


def behind(tx: Connection, rooms: Rooms, where: Destination) -> int:
    """Count the resources that would be written otherwise now."""
    return sum(1 for line in lines.every(tx, where.name) if _differs(tx, rooms, where, line))


def _follow(
    tx: Connection, rooms: Rooms, where: Destination, *, lane: str, actor: str
) -> list[str]:
    """Owe again what is written otherwise now, in one lane or ("") in all, the shared one first."""
    made: list[str] = []
    hands = Hands(rooms, actor=actor)
    meant = [
        line
        for line in lines.every(tx, where.name, lane=lane)
        if not (line.given_up or lines.under_way(tx, where.name, line.identity))
        and _differs(tx, rooms, where, line)
    ]
    meant.sort(key=lambda line: (line.lane != SHARED_LANE, line.lane))
    for _, of_lane in groupby(meant, key=lambda line: line.lane):
        found = [
            Found(
                line=line,
                kind=Kind.EDITED,
                theirs=Theirs(shown=Shown.THERE, version=line.version),
            )
            for line in of_lane
        ]
        made += hands.ours(tx, where.name, found)
    return made


def _is_under_way(tx: Connection, name: str, lane: str) -> bool:
    chosen = select(delivery.c.id).where(
        delivery.c.destination == name,
        delivery.c.lane == lane,
        delivery.c.state.in_(UNCERTAIN),
    )
    return tx.execute(chosen.limit(1)).first() is not None


def _differs(tx: Connection, rooms: Rooms, where: Destination, line: Line) -> bool:
    ours = rooms.contents.body(tx, line.resource)
    then, now = (
        lines.as_there(tx, rooms.contents, where, rooms.theirs, line=line, ours=ours, now=is_now)
        for is_now in (False, True)
    )
    return not projection.same(then, now)
