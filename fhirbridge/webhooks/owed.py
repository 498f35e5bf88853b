"""What each endpoint is still owed: messages written from the log of events, and their tries."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update

from fhirbridge.events import log as events
from fhirbridge.store import moment, upsert
from fhirbridge.store.webhook_tables import webhook_attempt, webhook_endpoint, webhook_message
from fhirbridge.webhooks import endpoints, payload
from fhirbridge.webhooks.decide import Judged, Next, Outcome, State
from fhirbridge.webhooks.endpoints import Endpoint

KEPT_FOR = timedelta(days=30)
LEASE = timedelta(seconds=60)  # four times the longest exchange
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """One try before it is made: when it is signed and sent."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one try. `said` is the beginning of the answer, which may hold anything."""

    id: str
    took: timedelta
    judged: Judged
    said: str


def write(tx: Connection, endpoint: Endpoint, *, now: datetime) -> bool:
    """Write the messages of the next events for one endpoint; say whether there are more.

    What happened more than KEPT_FOR ago (it was disabled so long) is passed over.
    """
    # After a database was put back, numbers are given again.
    page = events.after(tx, min(endpoint.reached, events.last(tx)))
    oldest = moment.to_text(now - KEPT_FOR)
    wanted = [one for one in page.events if one["at"] >= oldest and endpoint.wants(one)]
    put(tx, endpoint.id, wanted, now=now)
    endpoints.change(tx, endpoint.id, reached=page.last)
    return page.more


def put(
    tx: Connection,
    endpoint_id: str,
    chosen: Iterable[Mapping[str, Any]],
    *,
    now: datetime,
    again: bool = False,
) -> int:
    """Owe an endpoint these events, in their order; with `again` also what it was sent before."""
    at, count = moment.to_text(now), 0
    fresh = {"state": State.WAITING.value, "attempts": 0, "due_at": at, "created_at": at}
    for one in chosen:
        body = payload.of_event(one).decode()
        row = {"endpoint": endpoint_id, "id": one["id"], "sequence": one["sequence"], "body": body}
        made = upsert.insert(webhook_message).values(**row, **fresh)
        keys = ["endpoint", "id"]
        if again:  # the body stays: the same message has the same bytes for ever
            tx.execute(made.on_conflict_do_update(index_elements=keys, set_=fresh))
        else:
            tx.execute(made.on_conflict_do_nothing(index_elements=keys))
        count += 1
    return count


def put_test(tx: Connection, endpoint: Endpoint, message: str, body: bytes, at: str) -> None:
    """Keep a message that a person sends to try an endpoint; it is never due."""
    row = {"endpoint": endpoint.id, "id": message, "sequence": 0, "body": body.decode()}
    more = {"state": State.TEST.value, "attempts": 0, "due_at": at, "created_at": at}
    tx.execute(insert(webhook_message).values(**row, **more))


def message(tx: Connection, endpoint_id: str, message_id: str) -> Row[Any]:
    """Return one message that is there."""
    own = (webhook_message.c.endpoint == endpoint_id, webhook_message.c.id == message_id)
    return tx.execute(select(webhook_message).where(*own)).one()


def due(tx: Connection, endpoint_id: str, now: datetime) -> Row[Any] | None:
    """Return the message that waited longest for its time, or None."""
    chosen = (
        select(webhook_message)
        .where(
            webhook_message.c.endpoint == endpoint_id,
            webhook_message.c.state == State.WAITING.value,
            webhook_message.c.due_at <= moment.to_text(now),
        )
        .order_by(webhook_message.c.due_at, webhook_message.c.sequence)
        .limit(1)
    )
    return tx.execute(chosen).one_or_none()


def ready(tx: Connection, now: datetime) -> list[str]:
    """Return the ids of endpoints to which something can be sent now, and nobody sends."""
    at = moment.to_text(now)
    chosen = select(webhook_endpoint.c.id).where(
        webhook_endpoint.c.removed_at == "",
        webhook_endpoint.c.disabled_why == "",
        ~is_leased(now),
        webhook_endpoint.c.quiet_until <= at,
        select(webhook_message.c.id)
        .where(
            webhook_message.c.endpoint == webhook_endpoint.c.id,
            webhook_message.c.state == State.WAITING.value,
            webhook_message.c.due_at <= at,
        )
        .exists(),
    )
    return list(tx.scalars(chosen))


def is_leased(now: datetime) -> ColumnElement[bool]:
    """Say whether somebody sends to an endpoint; a clock that went back keeps no lease longer."""
    until = webhook_endpoint.c.leased_until
    return and_(until > moment.to_text(now), until <= moment.to_text(now + LEASE))


def begin(tx: Connection, message: Row[Any], begun: Begun, *, sealed: bytes) -> None:
    """Note one try before it is made, so that it is known of whatever happens; no answer, sealed.

    One of which nothing more is heard uses up none of the message's tries.
    """
    tx.execute(
        insert(webhook_attempt).values(
            id=begun.id,
            endpoint=message.endpoint,
            message=message.id,
            number=message.attempts + 1,
            at=moment.to_text(begun.at),
            signed_at=int(begun.at.timestamp()),
            status=0,
            outcome=Outcome.BEGUN.value,
            reason="",
            took_ms=0,
            sealed=sealed,
        )
    )


def note(
    tx: Connection, message: Row[Any], attempt: Attempt, then: Next | None, *, sealed: bytes
) -> None:
    """Note what came of a try, its answer sealed, and what follows of it; None: it was a test."""
    made = message.attempts + 1
    judged = attempt.judged
    tx.execute(
        update(webhook_attempt)
        .where(webhook_attempt.c.id == attempt.id)
        .values(
            status=judged.status,
            outcome=judged.outcome.value,
            reason=judged.reason,
            took_ms=int(attempt.took.total_seconds() * 1000),
            sealed=sealed,
        )
    )
    values: dict[str, Any] = {"attempts": made}
    if then is not None:
        values |= {"state": then.state.value, "due_at": moment.to_text(then.due_at)}
    own = (webhook_message.c.endpoint == message.endpoint, webhook_message.c.id == message.id)
    tx.execute(update(webhook_message).where(*own).values(**values))


def erase(tx: Connection, now: datetime) -> int:
    """Erase messages and tries that are older than KEPT_FOR, some at a time; return how many."""
    before = moment.to_text(now - KEPT_FOR)
    old = select(webhook_attempt.c.id).where(webhook_attempt.c.at < before).limit(ROWS_AT_ONCE)
    tries = tx.execute(delete(webhook_attempt).where(webhook_attempt.c.id.in_(old)))
    keys = select(webhook_message.c.endpoint, webhook_message.c.id)
    found = keys.where(webhook_message.c.created_at < before).limit(ROWS_AT_ONCE)
    rows = tx.execute(found).all()
    for row in rows:
        own = (webhook_message.c.endpoint == row.endpoint, webhook_message.c.id == row.id)
        tx.execute(delete(webhook_message).where(*own))
    return tries.rowcount + len(rows)


def counts(tx: Connection, endpoint_id: str) -> dict[str, int]:
    """Count an endpoint's messages by state, of those that are kept."""
    chosen = (
        select(webhook_message.c.state, func.count())
        .where(webhook_message.c.endpoint == endpoint_id)
        .group_by(webhook_message.c.state)
    )
    found = {row[0]: row[1] for row in tx.execute(chosen)}
    return {one.value: found.get(one.value, 0) for one in State}


def attempts(tx: Connection, endpoint_id: str, *, message: str, most: int) -> list[dict[str, Any]]:
    """Return the newest tries of an endpoint, or of one message, without the answers."""
    of_it = [webhook_attempt.c.endpoint == endpoint_id]
    if message:
        of_it.append(webhook_attempt.c.message == message)
    shown = [one for one in webhook_attempt.c if one.name not in ("sealed", "endpoint")]
    chosen = select(*shown).where(*of_it).order_by(webhook_attempt.c.at.desc()).limit(most)
    return [dict(row) for row in tx.execute(chosen).mappings()]


def attempt(tx: Connection, endpoint_id: str, attempt_id: str) -> Row[Any] | None:
    """Return one try with the body that was sent, or None."""
    of_message = (webhook_message.c.endpoint == webhook_attempt.c.endpoint) & (
        webhook_message.c.id == webhook_attempt.c.message
    )
    chosen = (
        select(webhook_attempt, webhook_message.c.body)
        .join(webhook_message, of_message)
        .where(webhook_attempt.c.endpoint == endpoint_id, webhook_attempt.c.id == attempt_id)
    )
    return tx.execute(chosen).one_or_none()
