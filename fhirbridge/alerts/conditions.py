"""What is wrong now, one condition for each cause and not one for each delivery. Reads only."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, func, or_, select

from fhirbridge.access import sources
from fhirbridge.deliver import limits, traffic
from fhirbridge.destinations import registry
from fhirbridge.destinations.registry import SIGN_IN_REFUSED, Destination
from fhirbridge.intake import events
from fhirbridge.matching.theirs import kept
from fhirbridge.matching.theirs.decide import Why
from fhirbridge.outbox import tasks
from fhirbridge.outbox.states import OPEN, STUCK
from fhirbridge.store import moment
from fhirbridge.store.room import ENDLESS, Disk
from fhirbridge.store.tables import alert, delivery, record
from fhirbridge.subscriptions import book as subscriptions
from fhirbridge.webhooks import endpoints

LATE = timedelta(hours=1)
URGENT_LATE = timedelta(minutes=5)
LOW, FULL = "low", "full"  # of the disk


class Kind(StrEnum):
    """What a person is told of."""

    DOWN = "down"
    QUOTA = "quota"
    AUTH = "auth"
    PAUSED = "paused"
    PARKED = "parked"
    HELD = "held"
    BY_HAND = "by-hand"
    BACKLOG = "backlog"
    DISK = "disk"
    SKEW = "skew"
    MERGED = "merged"
    WRONG_PATIENT = "wrong-patient"
    SUBSCRIPTION = "subscription"
    WEBHOOK = "webhook"
    SUICIDALITY = "suicidality"


class Condition(NamedTuple):
    """One thing that is wrong.

    `cause` is a code, the opaque id of a delivery, a record or a merge, or the name of a webhook's
    source or endpoint.
    """

    kind: Kind
    destination: str
    cause: str = ""


def read(tx: Connection, now: datetime, disk: Disk = ENDLESS) -> dict[Condition, int]:
    """Return every condition with how many deliveries or records it is about.

    Of the disk: how many deliveries are not through.
    """
    found: dict[Condition, int] = {}
    for one in registry.every(tx):
        found |= _of_destination(tx, one, now)
    heard = {**_heard(tx, now), **_of_others(tx)}
    found |= {Condition(Kind.SUBSCRIPTION, name): 0 for name in subscriptions.in_trouble(tx)}
    found |= {**_stuck(tx), **_by_hand(tx), **_urgent(tx, now), **_space(tx, disk)}
    return {**found, **heard}


def _of_destination(tx: Connection, one: Destination, now: datetime) -> dict[Condition, int]:
    waiting = select(func.count()).where(
        delivery.c.destination == one.name, delivery.c.state.in_(OPEN)
    )
    kinds = [*_closed(tx, one, now), *_late(tx, one, now)]
    count = (tx.scalar(waiting) or 0) if kinds else 0
    return {Condition(kind, one.name): count for kind in kinds}


def _closed(tx: Connection, one: Destination, now: datetime) -> Iterator[Kind]:
    known = traffic.load(tx, one.name)
    if known.breaker.pause:
        yield Kind.DOWN
    if limits.is_used_up(known, one.limits, now):
        yield Kind.QUOTA
    if one.paused:
        yield Kind.AUTH if one.paused.startswith(SIGN_IN_REFUSED) else Kind.PAUSED


def _late(tx: Connection, one: Destination, now: datetime) -> Iterator[Kind]:
    """Say whether something live waits too long; a backfill may wait."""
    before = moment.to_text(now - LATE)
    for state in OPEN:
        oldest = (
            select(delivery.c.id)
            .where(
                delivery.c.destination == one.name,
                delivery.c.state == state,
                delivery.c.low.is_(False),
                delivery.c.created_at < before,
            )
            .limit(1)
        )
        if tx.execute(oldest).first() is not None:
            yield Kind.BACKLOG
            return


def _stuck(tx: Connection) -> dict[Condition, int]:
    chosen = (
        select(delivery.c.state, delivery.c.destination, delivery.c.reason, func.count())
        .where(delivery.c.state.in_(STUCK))
        .group_by(delivery.c.state, delivery.c.destination, delivery.c.reason)
    )
    found: Counter[Condition] = Counter()
    for state, destination, reason, count in tx.execute(chosen):
        # The first word is the cause; what follows names the one delivery.
        found[Condition(Kind(state), destination, reason.partition(":")[0])] += count
    return found


def _by_hand(tx: Connection) -> dict[Condition, int]:
    """Say what a person must put right in an EHR that lets us change nothing."""
    found = Counter(
        Condition(Kind.BY_HAND, one["destination"], one["what"]) for one in tasks.tasks(tx)
    )
    return dict(found)


def _of_others(tx: Connection) -> dict[Condition, int]:
    """Say where a number or a table led to what is another patient's; the cause is the type."""
    found = kept.count_for(tx, Why.OTHER_PATIENT)
    return {Condition(Kind.WRONG_PATIENT, name, of_type): n for name, of_type, n in found}


def _space(tx: Connection, disk: Disk) -> dict[Condition, int]:
    """Say whether room runs out; once said, until there is a little more than what is needed."""
    room = disk.measure()
    if room is None:
        return {}
    told = select(alert.c.cause).where(alert.c.kind == Kind.DISK, alert.c.ended_at == "")
    lasting = set(tx.scalars(told))
    calm = replace(room, free=room.free * 9 // 10)
    causes = [
        cause
        for cause, is_so in ((LOW, disk.is_low), (FULL, disk.is_full))
        if is_so(calm if cause in lasting else room)
    ]
    if not causes:
        return {}
    waiting = select(func.count()).where(delivery.c.state.in_(OPEN))
    count = tx.scalar(waiting) or 0
    return {Condition(Kind.DISK, "", cause): count for cause in causes}


def _heard(tx: Connection, now: datetime) -> dict[Condition, int]:
    """Say what is wrong with signed messages and what they tell: clocks, patients, receivers."""
    skewed = {Condition(Kind.SKEW, "", name): 1 for name in sources.skewed(tx, now)}
    hooks = {Condition(Kind.WEBHOOK, "", name): 1 for name in endpoints.disabled_by_itself(tx)}
    return (
        skewed | hooks | {Condition(Kind.MERGED, "", one): 1 for one in events.merges_waiting(tx)}
    )


def _urgent(tx: Connection, now: datetime) -> dict[Condition, int]:
    late = moment.to_text(now - URGENT_LATE)
    undelivered = select(delivery.c.id, delivery.c.destination).where(
        delivery.c.urgent.is_(True),
        delivery.c.state.in_([*STUCK, *OPEN]),
        or_(delivery.c.state.in_(STUCK), delivery.c.created_at < late),
    )
    found = {
        Condition(Kind.SUICIDALITY, row.destination, row.id): 1 for row in tx.execute(undelivered)
    }
    held = select(record.c.id).where(record.c.state == "current", record.c.screen_held.is_(True))
    return found | {Condition(Kind.SUICIDALITY, "", one): 1 for one in tx.scalars(held)}
