"""Send to one endpoint what it is owed, one message after the other, under a lease.

A try is noted before it is made. Killed between sending and noting what came of it, a message goes
once more, with the same id: receivers drop what they have. So where the lease was lost meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from fhirbridge import log
from fhirbridge.audit.log import Action, Entry, EvidenceLog
from fhirbridge.clock import Clock
from fhirbridge.egress.exchange import NotSent, Request, Response, Transport
from fhirbridge.events import log as events
from fhirbridge.rng import Rng, new_id
from fhirbridge.store import moment
from fhirbridge.store.engine import Store
from fhirbridge.store.sealed import Vault
from fhirbridge.store.webhook_tables import webhook_endpoint
from fhirbridge.webhooks import decide, endpoints, owed, payload
from fhirbridge.webhooks.endpoints import Endpoint, Endpoints
from fhirbridge.webhooks.owed import Attempt, Begun

DEADLINE_SECONDS = 15.0
ACTOR = "webhooks"

Connect = Callable[[tuple[str, ...]], Transport]
GoOn = Callable[[], bool]


class _Nowhere:
    def send(self, request: Request, *, deadline_seconds: float) -> NotSent:  # noqa: ARG002  as a Transport's
        return NotSent(reason="policy: nothing is sent from here")


def nowhere(_networks: tuple[str, ...]) -> Transport:
    """Send nothing: for a bridge that is opened to look."""
    return _Nowhere()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What sending works with. `connect` gives the way to endpoints of these networks."""

    store: Store
    clock: Clock
    rng: Rng
    vault: Vault
    audit: EvidenceLog
    connect: Connect

    @property
    def endpoints(self) -> Endpoints:
        """Return who is told."""
        return Endpoints(self.vault, self.rng)


def prepare(rooms: Rooms) -> None:
    """Give events their numbers, and write from them what each endpoint is owed."""
    number(rooms)
    with rooms.store.read() as tx:
        last = events.last(tx)
        known = endpoints.every(tx)
    behind = [one.id for one in known if not one.disabled and one.reached != last]
    while behind:  # a page for each, so that one who was away for long holds up nobody
        behind = [one for one in behind if _write(rooms, one)]


def number(rooms: Rooms) -> None:
    """Give events that wait their numbers."""
    with rooms.store.read() as tx:
        more = events.waits(tx)
    while more:
        with rooms.store.begin() as tx:
            more = events.number(tx, rooms.rng) == events.ROWS_AT_ONCE


def erase(rooms: Rooms) -> None:
    """Erase what is too old to be replayed."""
    more = True
    while more:
        with rooms.store.begin() as tx:
            more = owed.erase(tx, rooms.clock.now()) >= owed.ROWS_AT_ONCE


def ready(rooms: Rooms) -> list[str]:
    """Return the endpoints that a hand is needed for now."""
    with rooms.store.read() as tx:
        return owed.ready(tx, rooms.clock.now())


def send_due(rooms: Rooms, endpoint_id: str, go_on: GoOn) -> int:
    """Send all that is due to one endpoint; return how many tries were made.

    Nothing where somebody else sends to it.
    """
    fence = _lease(rooms, endpoint_id)
    if fence is None:
        return 0
    made = 0
    try:
        while go_on() and (chosen := _next(rooms, endpoint_id, fence)) is not None:
            if not _try(rooms, chosen, fence):
                break
            made += 1
    finally:
        _release(rooms, endpoint_id, fence)
    return made


def send_test(rooms: Rooms, name: str) -> str:
    """Send a message to try an endpoint, also where it is disabled; return the id of the try."""
    message, now = new_id(rooms.rng), rooms.clock.now()
    at = moment.to_text(now)
    with rooms.store.begin() as tx:
        endpoint = endpoints.get(tx, name)
        owed.put_test(tx, endpoint, message, payload.of_test(name, message, at), at)
        row = owed.message(tx, endpoint.id, message)
        begun = _begin(rooms, tx, row)
    attempt = _exchange(rooms, endpoint, row, begun)
    with rooms.store.begin() as tx:
        _note(rooms, tx, row, attempt, None)
    return attempt.id


def _write(rooms: Rooms, endpoint_id: str) -> bool:
    with rooms.store.begin() as tx:
        row = tx.execute(_live(endpoint_id)).one_or_none()
        return row is not None and owed.write(tx, endpoints.read(row), now=rooms.clock.now())


def _of(endpoint_id: str) -> Select[Any]:
    return select(webhook_endpoint).where(webhook_endpoint.c.id == endpoint_id)


def _live(endpoint_id: str) -> Select[Any]:
    live = (webhook_endpoint.c.removed_at == "", webhook_endpoint.c.disabled_why == "")
    return _of(endpoint_id).where(*live)


def _lease(rooms: Rooms, endpoint_id: str) -> int | None:
    now = rooms.clock.now()
    with rooms.store.begin() as tx:
        free = _live(endpoint_id).where(~owed.is_leased(now))
        row = tx.execute(free).one_or_none()
        if row is None:
            return None
        until = moment.to_text(now + owed.LEASE)
        endpoints.change(tx, endpoint_id, fence=row.fence + 1, leased_until=until)
        return int(row.fence) + 1


def _release(rooms: Rooms, endpoint_id: str, fence: int) -> None:
    mine = (webhook_endpoint.c.id == endpoint_id) & (webhook_endpoint.c.fence == fence)
    with rooms.store.begin() as tx:
        tx.execute(update(webhook_endpoint).where(mine).values(leased_until=""))


def _next(rooms: Rooms, endpoint_id: str, fence: int) -> tuple[Endpoint, Row[Any]] | None:
    now = rooms.clock.now()
    with rooms.store.read() as tx:
        row = tx.execute(_live(endpoint_id)).one_or_none()
        if row is None or row.fence != fence or row.quiet_until > moment.to_text(now):
            return None
        message = owed.due(tx, endpoint_id, now)
        return None if message is None else (endpoints.read(row), message)


def _try(rooms: Rooms, chosen: tuple[Endpoint, Row[Any]], fence: int) -> bool:
    """Send one message and note what came of it; False where the lease was lost meanwhile."""
    endpoint, message = chosen
    with rooms.store.begin() as tx:
        if _held(tx, endpoint.id, fence) is None:
            return False
        begun = _begin(rooms, tx, message)
    attempt = _exchange(rooms, endpoint, message, begun)
    now = rooms.clock.now()
    with rooms.store.begin() as tx:
        row = _held(tx, endpoint.id, fence)
        if row is None:
            return False
        current = endpoints.read(row)
        then = decide.follow(
            attempt.judged,
            made=message.attempts + 1,
            failing_since=current.failing_since,
            now=now,
            jitter=rooms.rng.jitter(),
        )
        _note(rooms, tx, message, attempt, then)
        endpoints.change(
            tx,
            endpoint.id,
            failing_since=_text(then.failing_since),
            quiet_until=_text(then.quiet_until),
            leased_until=moment.to_text(now + owed.LEASE),
        )
        if then.disabled and not current.disabled:  # a person may have been quicker
            _disable(rooms, tx, current, then.disabled, now)
    _tell(endpoint, message, attempt, then)
    return True


def _held(tx: Connection, endpoint_id: str, fence: int) -> Row[Any] | None:
    """Return the endpoint where it is there and this lease of it is the last one given."""
    row = tx.execute(_of(endpoint_id)).one()
    return None if row.removed_at or row.fence != fence else row


def _begin(rooms: Rooms, tx: Connection, message: Row[Any]) -> Begun:
    begun = Begun(id=new_id(rooms.rng), at=rooms.clock.now())
    nothing = rooms.endpoints.seal(tx, message.endpoint, "", begun.id)
    owed.begin(tx, message, begun, sealed=nothing)
    return begun


def _exchange(rooms: Rooms, endpoint: Endpoint, message: Row[Any], begun: Begun) -> Attempt:
    body = message.body.encode()
    with rooms.store.read() as tx:
        secrets = rooms.endpoints.secrets(tx, endpoint.id, now=begun.at)
    request = Request(
        method="POST",
        url=endpoint.url,
        headers=payload.headers(message.id, begun.at, body, secrets),
        body=body,
    )
    began = rooms.clock.monotonic()
    answer = rooms.connect(endpoint.networks).send(request, deadline_seconds=DEADLINE_SECONDS)
    took = timedelta(seconds=rooms.clock.monotonic() - began)
    said = payload.scrubbed(answer.body) if isinstance(answer, Response) else ""
    return Attempt(
        id=begun.id,
        took=took,
        judged=decide.judge(answer, rooms.clock.now()),
        said=said,
    )


def _note(
    rooms: Rooms, tx: Connection, message: Row[Any], attempt: Attempt, then: decide.Next | None
) -> None:
    sealed = rooms.endpoints.seal(tx, message.endpoint, attempt.said, attempt.id)
    owed.note(tx, message, attempt, then, sealed=sealed)


def _disable(rooms: Rooms, tx: Connection, one: Endpoint, why: str, now: datetime) -> None:
    endpoints.disable(tx, one.id, why, now=now)
    detail = {"name": one.name, "why": why}
    rooms.audit.append(tx, Entry(actor=ACTOR, action=Action.ENDPOINT_DISABLED, detail=detail))


def _tell(endpoint: Endpoint, message: Row[Any], attempt: Attempt, then: decide.Next) -> None:
    say = log.get().info if then.state is decide.State.DELIVERED else log.get().warning
    say(
        "webhook.sent",
        outcome=attempt.judged.outcome.value,
        reason=attempt.judged.reason,
        status=attempt.judged.status,
        attempt=message.attempts + 1,
        endpoint=endpoint.name,
    )


def _text(at: datetime | None) -> str:
    return "" if at is None else moment.to_text(at)
