"""Lists for programs: records, deliveries and destinations, page by page. No PHI in any of them.

A page goes on after a place, so that what is added meanwhile shifts nothing: the newest first, each
row once. A cursor is that place, and is good for the filter alone with which it was given.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, or_, select

from fhirbridge.destinations import registry
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.outbox.contents import SHARED_LANE
from fhirbridge.outbox.states import State
from fhirbridge.overview import status
from fhirbridge.store import moment
from fhirbridge.store.tables import delivery, delivery_item, record

DEFAULT, MOST = 50, 200
CURSOR = re.compile(r"([0-9a-f]{16}) ([!-~]{0,40}) ([!-~]{1,100})")
OF_DELIVERY = (
    "id",
    "destination",
    "state",
    "reason",
    "record_id",
    "sequence",
    "attempts",
    "created_at",
    "changed_at",
    "due_at",
)
FINAL = (State.DELIVERED, State.SUPERSEDED)
OF_RECORD = ("id", "version", "state", "received_at", "translation", "warnings", "held")


class CursorError(BridgeError):
    """The cursor is none of ours, or was given with another filter."""

    code = "E917"
    http_status = HTTPStatus.BAD_REQUEST


class NoSuchThingError(BridgeError):
    """Nothing has this id or name."""

    code = "E918"
    http_status = HTTPStatus.NOT_FOUND


class NotWaitingError(BridgeError):
    """What was to be put back in line waits for nobody, or for something else."""

    code = "E919"
    http_status = HTTPStatus.CONFLICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which rows are meant, and from where on. Empty fields mean any.

    `waiting`: for a person, of the deliveries of a record: held or parked. `cursor`: `next` of the
    page before. `limit`: 1 to MOST.
    """

    destination: str = ""
    session: str = ""  # our opaque name
    record: str = ""
    state: str = ""
    waiting: str = ""
    received_from: datetime | None = None
    received_before: datetime | None = None
    paused: bool | None = None
    cursor: str = ""
    limit: int = DEFAULT

    def digest(self, kind: str) -> str:
        """Return what tells this filter from others, whatever page of it is meant."""
        fields = (kind, self.destination, self.session, self.record, self.state, self.waiting)
        times = (str(self.received_from), str(self.received_before), str(self.paused))
        return hashlib.sha256(codec.canonical([*fields, *times])).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows, and the cursor of those after them; "" at the end."""

    rows: Sequence[Mapping[str, Any]]
    next: str


def records(tx: Connection, sought: Sought) -> Page:
    """Return record versions, the last received first. Raises CursorError or NoSuchThingError."""
    met = _met((record.c.session_key, sought.session), (record.c.state, sought.state)) + _within(
        sought, record.c.received_at
    )
    _check(tx, sought.destination)
    owed = _met((delivery.c.destination, sought.destination), (delivery.c.state, sought.waiting))
    if sought.waiting:  # of few: they are looked up
        met.append(record.c.id.in_(select(delivery.c.record_id).where(*owed)))
    elif owed:  # of most: each record is asked for it, the newest first
        met.append(exists().where(delivery.c.record_id == record.c.id, *owed))
    shown = select(*(record.c[name] for name in OF_RECORD), record.c.session_key.label("session"))
    place = (record.c.received_at, record.c.id)
    rows, following = _page(tx, shown.where(*met), place, sought, "records")
    counted = _by_state(tx, [row.id for row in rows])
    named = [{name: getattr(row, name) for name in (*OF_RECORD, "session")} for row in rows]
    return Page(
        rows=[{**one, "deliveries": counted.get(one["id"], {})} for one in named], next=following
    )


def deliveries(tx: Connection, sought: Sought) -> Page:
    """Return deliveries, the last made first. Raises CursorError or NoSuchThingError."""
    _check(tx, sought.destination)
    met = _met(
        (delivery.c.destination, sought.destination),
        (delivery.c.record_id, sought.record),
        # Of most: then an index by state would bring all of them to be sorted.
        (delivery.c.state.concat("") if sought.state in FINAL else delivery.c.state, sought.state),
    ) + _within(sought, delivery.c.created_at)
    place = (delivery.c.created_at, delivery.c.id)
    rows, following = _page(tx, _of_deliveries().where(*met), place, sought, "deliveries")
    return Page(rows=[_delivery(row) for row in rows], next=following)


def one_delivery(tx: Connection, delivery_id: str) -> dict[str, Any]:
    """Return one delivery with what became of each of its resources. Raises NoSuchThingError."""
    row = tx.execute(_of_deliveries().where(delivery.c.id == delivery_id)).one_or_none()
    if row is None:
        raise NoSuchThingError("no delivery has this id", hint="take the id from the list")
    chosen = select(delivery_item).where(delivery_item.c.delivery_id == delivery_id)
    items = [
        {
            "resource": f"{item.type}/{item.resource_id}",
            "outcome": item.outcome or "waiting",
            "reason": item.reason,
        }
        for item in tx.execute(chosen.order_by(delivery_item.c.position))
    ]
    return {**_delivery(row), "items": items}


def destinations(tx: Connection, sought: Sought, now: datetime) -> Page:
    """Return how things stand for each destination, by name. Raises CursorError."""
    after = _after(sought, "destinations")
    known = [one for one in registry.every(tx) if after is None or one.name > after[1]]
    rows = [status.of_destination(tx, one, now) for one in known]
    met = [row for row in rows if sought.paused is None or bool(row["paused"]) == sought.paused]
    shown = met[: sought.limit]
    if len(shown) == len(met):
        return Page(rows=shown, next="")
    return Page(rows=shown, next=_cursor(sought, "destinations", "", shown[-1]["name"]))


def one_destination(tx: Connection, name: str, now: datetime) -> dict[str, Any]:
    """Return how things stand for one destination. Raises NoSuchThingError."""
    return status.of_destination(tx, _check_known(tx, name), now)


def _of_deliveries() -> Select[Any]:
    lane = (delivery.c.lane == SHARED_LANE).label("shared")
    return select(*(delivery.c[name] for name in OF_DELIVERY), delivery.c.low, lane)


def _delivery(row: Any) -> dict[str, Any]:
    named = {name: getattr(row, name) for name in OF_DELIVERY}
    lane = "shared" if row.shared else "patient"
    return {**named, "backfill": bool(row.low), "lane": lane}


def _by_state(tx: Connection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    chosen = (
        select(delivery.c.record_id, delivery.c.state, func.count())
        .where(delivery.c.record_id.in_(ids))
        .group_by(delivery.c.record_id, delivery.c.state)
    )
    found: dict[str, dict[str, int]] = {}
    for record_id, state, count in sorted(tx.execute(chosen)):
        found.setdefault(record_id, {})[state] = count
    return found


def _check(tx: Connection, destination: str) -> None:
    """Refuse a destination that is not there, which else would look like one with nothing."""
    if destination:
        _check_known(tx, destination)


def _check_known(tx: Connection, name: str) -> registry.Destination:
    known = registry.find(tx, name)
    if known is None:
        raise NoSuchThingError(
            "no destination has this name", hint="GET /api/v1/destinations lists them"
        )
    return known


def _met(*wanted: tuple[ColumnElement[str], str]) -> list[ColumnElement[bool]]:
    return [column == value for column, value in wanted if value]


def _within(sought: Sought, column: ColumnElement[str]) -> list[ColumnElement[bool]]:
    met: list[ColumnElement[bool]] = []
    if sought.received_from is not None:
        met.append(column >= moment.to_text(sought.received_from))
    if sought.received_before is not None:
        met.append(column < moment.to_text(sought.received_before))
    return met


def _page(
    tx: Connection,
    chosen: Select[Any],
    place: tuple[ColumnElement[str], ColumnElement[str]],
    sought: Sought,
    kind: str,
) -> tuple[Sequence[Any], str]:
    """Return the rows of one page, and the cursor of the next one. `place`: time and id."""
    at, own = place
    after = _after(sought, kind)
    if after is not None:
        # The first one lets an index begin there.
        chosen = chosen.where(at <= after[0], or_(at < after[0], own < after[1]))
    ordered = chosen.add_columns(at.label("place")).order_by(at.desc(), own.desc())
    found = tx.execute(ordered.limit(sought.limit + 1)).all()
    shown = found[: sought.limit]
    if len(shown) == len(found):
        return shown, ""
    return shown, _cursor(sought, kind, shown[-1].place, shown[-1].id)


def _cursor(sought: Sought, kind: str, at: str, own: str) -> str:
    return base64.urlsafe_b64encode(f"{sought.digest(kind)} {at} {own}".encode()).decode()


def _after(sought: Sought, kind: str) -> tuple[str, str] | None:
    """Return the place after which to go on, or None: from the beginning. Raises CursorError."""
    if not sought.cursor:
        return None
    try:
        text = base64.b64decode(sought.cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    found = CURSOR.fullmatch(text)
    if found is None or found[1] != sought.digest(kind):
        raise CursorError(
            "the cursor is none that was given with this filter",
            hint="take `next` of the page before and send the same filter again, or begin anew",
        )
    return found[2], found[3]
