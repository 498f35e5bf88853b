"""What was decided of what an EHR has itself, as it is stored. Reads, but for marks on a row."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, func, select, tuple_, update

from fhirbridge.destinations.registry import Destination
from fhirbridge.fhir.pointing import NOTHING_OF_THEIRS, Named, Theirs
from fhirbridge.store.theirs_tables import theirs_link


class State(StrEnum):
    """What was decided."""

    LINKED = "linked"  # it is this one
    LEFT_OUT = "left-out"  # nobody knows for certain: nothing points to it, and ours is not made


def current(tx: Connection, destination: str, kind: str, subject: str) -> Row[Any] | None:
    """Return what counts, or None where nothing was decided."""
    chosen = select(theirs_link).where(
        theirs_link.c.destination == destination,
        theirs_link.c.type == kind,
        theirs_link.c.subject == subject,
        theirs_link.c.ended_at == "",
    )
    return tx.execute(chosen).one_or_none()


def every(
    tx: Connection, destination: str = "", *, kind: str = "", state: str = ""
) -> list[Row[Any]]:
    """Return what counts, at one destination or at all, in the order of decisions."""
    chosen = select(theirs_link).where(theirs_link.c.ended_at == "")
    for column, value in (("destination", destination), ("type", kind), ("state", state)):
        if value:
            chosen = chosen.where(theirs_link.c[column] == value)
    return list(tx.execute(chosen.order_by(theirs_link.c.sequence)))


def count_for(tx: Connection, why: str) -> list[tuple[str, str, int]]:
    """Count what is left out for a reason, by destination and type."""
    chosen = (
        select(theirs_link.c.destination, theirs_link.c.type, func.count())
        .where(theirs_link.c.ended_at == "", theirs_link.c.why.contains(why))
        .group_by(theirs_link.c.destination, theirs_link.c.type)
    )
    return [(destination, kind, count) for destination, kind, count in tx.execute(chosen)]


def of_id(tx: Connection, link_id: str) -> Row[Any] | None:
    """Return one decision by its id, or None."""
    return tx.execute(select(theirs_link).where(theirs_link.c.id == link_id)).one_or_none()


def is_decided(tx: Connection, destination: str, kind: str) -> bool:
    """Say whether anything was ever decided there of a type."""
    chosen = select(theirs_link.c.id).where(
        theirs_link.c.destination == destination, theirs_link.c.type == kind
    )
    return tx.execute(chosen.limit(1)).first() is not None


def now(tx: Connection, destination: str) -> int:
    """Return a number above that of each decision at a destination until now, and not 0."""
    chosen = select(func.max(theirs_link.c.sequence))
    last = tx.scalar(chosen.where(theirs_link.c.destination == destination)) or 0
    return last + 1


def pointing(
    tx: Connection,
    where: Destination,
    identities: Collection[Named],
    numbers: Mapping[Named, str],
    decided: int | None,
) -> tuple[Theirs, int]:
    """Return what these of ours, and these numbers, are at an EHR, and as of when: see `now`.

    `numbers` to their keyed names. `decided`: as of then; None: as of now; 0: as before anything
    was the EHR's own.
    """
    if not where.theirs or decided == 0:
        return NOTHING_OF_THEIRS, 0
    until = now(tx, where.name) if decided is None else decided
    own = [one for one in identities if one[0] in where.theirs]
    named = {one: (one[0], subject) for one, subject in numbers.items()}
    rows = _as_of(tx, where.name, {*map(tuple, own), *named.values()}, until)
    ids = {one: rows[one].ehr_id for one in own if one in rows}
    found = {one: rows[key].ehr_id for one, key in named.items() if key in rows}
    return Theirs(
        types=frozenset(where.theirs),
        ids={one: own_id for one, own_id in ids.items() if own_id},
        numbered={one: own_id for one, own_id in found.items() if own_id},
        words={one: rows[one].words for one in own if one in rows},
    ), until


def _as_of(
    tx: Connection, destination: str, wanted: Collection[Any], until: int
) -> dict[Named, Row[Any]]:
    if not wanted:
        return {}
    chosen = (
        select(theirs_link)
        .where(
            theirs_link.c.destination == destination,
            tuple_(theirs_link.c.type, theirs_link.c.subject).in_(list(wanted)),
            theirs_link.c.sequence < until,
        )
        .order_by(theirs_link.c.sequence)
    )
    return {(row.type, row.subject): row for row in tx.execute(chosen)}


def to_follow(tx: Connection, destination: str, lanes: Collection[str] = ()) -> list[Row[Any]]:
    """Return the decisions that changed what ours points to, while what was sent does not say so.

    `lanes`: of these alone.
    """
    chosen = select(theirs_link).where(
        theirs_link.c.destination == destination, theirs_link.c.followed_at == ""
    )
    if lanes:
        chosen = chosen.where(theirs_link.c.lane.in_(lanes))
    return list(tx.execute(chosen.order_by(theirs_link.c.sequence)))


def note_followed(tx: Connection, ids: Collection[str], *, at: str) -> None:
    """Note that what was written before is owed again."""
    done = update(theirs_link).where(theirs_link.c.id.in_(ids))
    tx.execute(done.values(followed_at=at))


def ask_anew(tx: Connection, link_id: str) -> None:
    """Let what counts be asked about before the next that points to it."""
    asked = update(theirs_link).where(theirs_link.c.id == link_id, theirs_link.c.ended_at == "")
    tx.execute(asked.values(compared="", why="", checked_at=""))


def forget(tx: Connection, records: Collection[str], *, at: str) -> None:
    """End the decisions that these records seal, and erase what was said; nothing follows them."""
    sealed_by = theirs_link.c.record_id.in_(records)
    for name in ("ended_at", "followed_at"):
        column = theirs_link.c[name]
        tx.execute(update(theirs_link).where(sealed_by, column == "").values({name: at}))
    tx.execute(update(theirs_link).where(sealed_by).values(sealed=b""))
