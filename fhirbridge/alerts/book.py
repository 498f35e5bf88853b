"""Write down when a condition began and when it ended, and tell each of the two once.

A way out that fails is tried again; a process that dies between telling and noting it tells twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from fhirbridge import log
from fhirbridge.alerts import conditions
from fhirbridge.alerts.conditions import Condition, Kind
from fhirbridge.clock import Clock
from fhirbridge.errors import BridgeError
from fhirbridge.fhir import codec
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.room import ENDLESS, Disk
from fhirbridge.store.tables import alert

TELLING = timedelta(minutes=2)
LASTS = ""
STARTED, ENDED = "started", "ended"
WORDS = {
    Kind.DOWN: "its requests fail; only a try now and then goes out",
    Kind.QUOTA: "its requests for today are used up",
    Kind.AUTH: "it refuses our sign-in; nothing is sent until a person resumes it",
    Kind.PAUSED: "it is paused; nothing is sent",
    Kind.PARKED: "deliveries are set aside and need a person",
    Kind.HELD: "deliveries are held and need a person",
    Kind.BY_HAND: "a person must put right in the EHR what we may not: fhirbridge sync tasks",
    Kind.BACKLOG: "deliveries wait for more than an hour",
    Kind.DISK: "the disk of the database runs full; with cause full nothing is taken in any more",
    Kind.SKEW: "the messages of this webhook source are signed for another time; all are refused "
    "until its clock or ours is right",
    Kind.MERGED: "the clinic says that two of its patients are one; nothing of either is sent "
    "until a person has looked and resumes both",
    Kind.WRONG_PATIENT: "a visit or order number leads to another patient's; it is left out: "
    "fhirbridge theirs list",
    Kind.SUBSCRIPTION: "its notifications do not come; it is looked at every minute all the same: "
    "fhirbridge destination show",
    Kind.WEBHOOK: "this webhook endpoint takes nothing any more and was disabled; when it is put "
    "right: fhirbridge webhook-endpoint enable",
    Kind.SUICIDALITY: "a sign of suicidality may not be in the EHR; tell the clinician by phone",
}

Tell = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Alerts:
    """Looks, writes down and tells. `tell` gets JSON without PHI; it raises BridgeError."""

    store: Store
    clock: Clock
    rng: Rng
    tell: Tell
    disk: Disk = ENDLESS

    def check(self) -> None:
        """Note what began and what ended since the last look, and tell it."""
        now = self.clock.now()
        with self.store.read() as tx:
            changed = _difference(tx, conditions.read(tx, now, self.disk)) != ({}, [])
        if changed:
            with self.store.begin() as tx:
                began, over = _difference(tx, conditions.read(tx, now, self.disk))
                self._write(tx, began, over, now)
        while (row := self._take(now)) is not None:
            self._tell(row)

    def _write(
        self, tx: Connection, began: Mapping[Condition, int], over: list[str], now: datetime
    ) -> None:
        at = moment.to_text(now)
        for one, count in began.items():
            values = {"id": new_id(self.rng), **one._asdict(), "count": count, "started_at": at}
            tx.execute(insert(alert).values(**values, ended_at=LASTS, told="", telling_until=""))
        if over:
            ended = update(alert).where(alert.c.id.in_(over))
            tx.execute(ended.values(ended_at=at, telling_until=""))

    def _take(self, now: datetime) -> Row[Any] | None:
        """Take one alert that is to be told, so that no other process tells it at the same time."""
        untold = (alert.c.told == "") | ((alert.c.ended_at != LASTS) & (alert.c.told == STARTED))
        free = alert.c.telling_until <= moment.to_text(now)
        chosen = select(alert).where(untold, free).order_by(alert.c.started_at).limit(1)
        with self.store.read() as tx:
            if tx.execute(chosen).first() is None:
                return None
        with self.store.begin() as tx:
            row = tx.execute(chosen).one_or_none()
            if row is not None:
                until = moment.to_text(now + TELLING)
                taken = update(alert).where(alert.c.id == row.id)
                tx.execute(taken.values(telling_until=until))
            return row

    def _tell(self, row: Row[Any]) -> None:
        what = ENDED if row.told == STARTED else STARTED
        _log(row, what)
        try:
            self.tell(codec.encode({**shown(row), "what": what, "ended_at": row.ended_at}))
        except BridgeError as error:
            log.get().error("alert.not_told", alert=row.id, kind=row.kind, code=error.code)
            return
        with self.store.begin() as tx:
            told = update(alert).where(alert.c.id == row.id)
            tx.execute(told.values(told=what, telling_until=""))


def lasting(tx: Connection) -> list[dict[str, Any]]:
    """Return what is wrong and was written down, the oldest first."""
    chosen = select(alert).where(alert.c.ended_at == LASTS)
    return [shown(row) for row in tx.execute(chosen.order_by(alert.c.started_at, alert.c.id))]


def shown(row: Row[Any]) -> dict[str, Any]:
    """Return an alert as people and programs see it. No PHI."""
    return {
        "id": row.id,
        "kind": row.kind,
        "destination": row.destination,
        "cause": row.cause,
        "count": row.count,
        "started_at": row.started_at,
        "words": WORDS.get(row.kind, "a newer version of fhirbridge knows what is wrong"),
    }


def _difference(
    tx: Connection, found: Mapping[Condition, int]
) -> tuple[dict[Condition, int], list[str]]:
    """Return what began, and the ids of what ended."""
    # What another version told is its own to end.
    ours = select(alert).where(alert.c.ended_at == LASTS, alert.c.kind.in_(list(Kind)))
    rows = tx.execute(ours).all()
    known = {Condition(Kind(row.kind), row.destination, row.cause): row.id for row in rows}
    began = {one: count for one, count in found.items() if one not in known}
    return began, [known[one] for one in known if one not in found]


def _log(row: Row[Any], what: str) -> None:
    fields = {"alert": row.id, "kind": row.kind, "destination": row.destination}
    say = log.get().warning if what == STARTED else log.get().info
    say(f"alert.{what}", **fields, reason=row.cause, count=row.count)
