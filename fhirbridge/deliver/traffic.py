"""Keep what is known of the requests to each destination, and let them through in their turn.

The state is in the database: all workers share it, and it outlives them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.deliver import limits
from fhirbridge.deliver.breaker import Breaker, Noted
from fhirbridge.deliver.limits import Closed, Traffic, Turn
from fhirbridge.destinations import registry
from fhirbridge.destinations.limits import LimitChange
from fhirbridge.destinations.registry import Destination
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport, Unknown
from fhirbridge.ehr.rest import Ehr
from fhirbridge.fhir import codec
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.tables import traffic
from fhirbridge.store.upsert import insert

HELD_BACK = "held back: "
_KNOWN = select(traffic).where(traffic.c.destination == bindparam("of_ehr"))  # built once


def closed(tx: Connection, destination: Destination, now: datetime) -> Closed | None:
    """Say why and until when nothing may go to a destination, or None."""
    return limits.closed(load(tx, destination.name), destination.limits, now)


def load(tx: Connection, destination: str) -> Traffic:
    """Return what is remembered of one destination."""
    row = tx.execute(_KNOWN, {"of_ehr": destination}).one_or_none()
    return limits.QUIET if row is None else _read(row)


def save(tx: Connection, destination: str, known: Traffic) -> None:
    """Remember it."""
    values = _columns(known)
    kept = insert(traffic).values(destination=destination, **values)
    tx.execute(kept.on_conflict_do_update(index_elements=["destination"], set_=values))


def forget(tx: Connection, destination: str) -> None:
    """Forget a destination that is removed."""
    tx.execute(delete(traffic).where(traffic.c.destination == destination))


def limit(
    tx: Connection, audit: EvidenceLog, name: str, change: LimitChange, *, actor: str
) -> Destination:
    """Set how much a destination is asked at most. Raises DestinationError."""
    set_to = change.applied(registry.get(tx, name).limits)
    registry.limit(tx, name, set_to)
    entry = Entry(
        actor=actor, action=Action.DESTINATION_LIMITED, destination=name, detail=set_to.as_text()
    )
    audit.append(tx, entry)
    return registry.get(tx, name)


@dataclass(frozen=True, slots=True)
class Meter:
    """A way to every EHR that heeds the limits of its destination."""

    store: Store
    clock: Clock
    ehr_for: Callable[[Destination], Ehr]

    def metered(self, destination: Destination) -> Ehr:
        """Return the EHR behind its limits."""
        return self.ehr_for(destination).through(
            lambda transport: Metered(self.store, self.clock, destination.name, transport)
        )


class Metered:
    """A transport that waits for its turn, sends nothing while there is none, and notes the end."""

    def __init__(self, store: Store, clock: Clock, destination: str, inner: Transport) -> None:
        self._store = store
        self._clock = clock
        self._destination = destination
        self._inner = inner

    def send(self, request: Request, *, deadline_seconds: float) -> Response | NotSent | Unknown:
        """Do one exchange; NotSent where nothing may go now."""
        turn = self._turn()
        if isinstance(turn, Turn) and turn.wait > timedelta():
            turn = self._waited(turn)
        if isinstance(turn, Closed):
            return NotSent(reason=f"{HELD_BACK}{turn.words}")
        outcome = self._inner.send(request, deadline_seconds=deadline_seconds)
        self._note(turn.traffic, outcome)
        return outcome

    def _turn(self) -> Turn | Closed:
        with self._store.read() as tx:
            before, found = self._ask(tx)
        if isinstance(found, Closed) or found.traffic == before:
            return found
        with self._store.begin() as tx:  # asked again where nobody else can take the same turn
            _, found = self._ask(tx)
            if isinstance(found, Turn):
                save(tx, self._destination, found.traffic)
        return found

    def _waited(self, turn: Turn) -> Turn | Closed:
        """Wait for the turn; somebody else may have heard meanwhile that nothing may go."""
        self._clock.sleep(turn.wait.total_seconds())
        with self._store.read() as tx:
            shut = closed(tx, registry.get(tx, self._destination), self._clock.now())
        return shut or turn

    def _ask(self, tx: Connection) -> tuple[Traffic, Turn | Closed]:
        known = load(tx, self._destination)
        allowed = registry.get(tx, self._destination).limits
        return known, limits.turn(known, allowed, self._clock.now())

    def _note(self, before: Traffic, outcome: Response | NotSent | Unknown) -> None:
        if limits.after(before, outcome, self._clock.now()) == before:
            return  # a success in good times
        with self._store.begin() as tx:
            known = load(tx, self._destination)
            save(tx, self._destination, limits.after(known, outcome, self._clock.now()))


def _read(row: Row[Any]) -> Traffic:
    recent = codec.decode_own(row.recent.encode())
    return Traffic(
        breaker=Breaker(
            in_a_row=row.in_a_row,
            recent=tuple(Noted(at=moment.from_text(at), good=good) for at, good in recent),
            opened_at=_moment(row.opened_at),
            pause=timedelta(seconds=row.pause_seconds),
            probed_at=_moment(row.probed_at),
        ),
        asked_at=_moment(row.asked_at),
        asked_until=_moment(row.asked_until),
        asked=timedelta(seconds=row.asked_seconds),
        next_at=_moment(row.next_at),
        day=row.day,
        used=row.used,
    )


def _columns(known: Traffic) -> dict[str, Any]:
    shut = known.breaker
    recent = [[moment.to_text(one.at), one.good] for one in shut.recent]
    return {
        "in_a_row": shut.in_a_row,
        "recent": codec.canonical(recent).decode(),
        "opened_at": _text(shut.opened_at),
        "pause_seconds": int(shut.pause.total_seconds()),
        "probed_at": _text(shut.probed_at),
        "asked_at": _text(known.asked_at),
        "asked_until": _text(known.asked_until),
        "asked_seconds": int(known.asked.total_seconds()),
        "next_at": _text(known.next_at),
        "day": known.day,
        "used": known.used,
    }


def _moment(text: str) -> datetime | None:
    return moment.from_text(text) if text else None


def _text(at: datetime | None) -> str:
    return "" if at is None else moment.to_text(at)
