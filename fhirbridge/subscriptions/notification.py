"""What a notification says of itself. Pure; nothing in it is believed but how many there were.

R4's rest-hook sends no body, or the resource. The Backport of R5's subscriptions (1.1.0) sends a
history Bundle that begins with the status: Parameters in R4, SubscriptionStatus in R4B.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from fhirbridge.fhir import codec
from fhirbridge.fhir.references import literal

NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
# As R4's Parameters name them, and as R4B's resource does.
START = ("events-since-subscription-start", "eventsSinceSubscriptionStart")
EVENT, EVENT_NUMBER = ("notification-event", "notificationEvent"), ("event-number", "eventNumber")


class Shape(StrEnum):
    """What kind of notification it is."""

    PLAIN = "plain"  # of R4, or nothing that we can read
    EVENT = "event-notification"
    HANDSHAKE = "handshake"
    HEARTBEAT = "heartbeat"
    ANSWER = "answer"  # to a query that we never send


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One notification. `numbers`: of its events; `since_start`: how many there were in all."""

    shape: Shape
    subscription: str = ""  # the id of the Subscription there, "" where it is not named by one
    numbers: tuple[int, ...] = ()
    since_start: int | None = None

    @property
    def tells_of_a_change(self) -> bool:
        """Say whether something may have changed; what cannot be read may say so."""
        return self.shape in (Shape.PLAIN, Shape.EVENT)


class Counted(NamedTuple):
    """How far the events of a Subscription were heard of, and whether any was missed."""

    last: int | None
    is_gap: bool


PLAIN = Told(shape=Shape.PLAIN)
QUIET = (Shape.HANDSHAKE, Shape.HEARTBEAT)
BUNDLES = ("history", "subscription-notification")


def read(raw: bytes) -> Told:
    """Read a body, whatever it is."""
    try:
        status = _status(codec.decode(raw))
    except codec.NotJsonError:
        return PLAIN
    if status is None:
        return PLAIN
    said = str(_value(status, ("type",)) or "")
    named = literal(_object(_value(status, ("subscription",))))
    found = [_number(_value(event, EVENT_NUMBER)) for event in _events(status)]
    return Told(
        shape=Shape(said) if said in (Shape.EVENT, *QUIET) else Shape.ANSWER,
        subscription=named[1] if named is not None and named[0] == "Subscription" else "",
        numbers=tuple(one for one in found if one is not None),
        since_start=_number(_value(status, START)),
    )


def counted(last: int | None, told: Told) -> Counted:
    """Say how far a Subscription was heard of now, and whether an event before it never came.

    One that comes twice, or late, is no gap. A handshake begins to count anew.
    """
    if told.shape is Shape.HANDSHAKE:
        return Counted(told.since_start or 0, is_gap=False)
    if told.numbers:
        first, highest = min(told.numbers), max(told.numbers)
    elif told.since_start is not None:
        # No event in it: the next one would have the number after it.
        first, highest = told.since_start + 1, told.since_start
    else:
        return Counted(last, is_gap=False)
    if last is None:
        return Counted(highest, is_gap=False)
    return Counted(max(last, highest), is_gap=first > last + 1)


def _status(body: Any) -> dict[str, Any] | None:
    """Return the status of a Backport notification, which is its first entry; None: it is none."""
    entries = _object(body).get("entry") if _object(body).get("type") in BUNDLES else None
    first = _object(entries[0]).get("resource") if isinstance(entries, list) and entries else None
    status = _object(first)
    return status if status.get("resourceType") in ("Parameters", "SubscriptionStatus") else None


def _value(status: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return what stands under one of these names, in Parameters or in a resource."""
    for part in _parts(status):
        if part.get("name") in names:
            return next((v for name, v in part.items() if name.startswith("value")), None)
    return next((status[name] for name in names if name in status), None)


def _events(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (part for part in _parts(status) if part.get("name") in EVENT)
    listed = status.get(EVENT[1])
    yield from (_object(one) for one in (listed if isinstance(listed, list) else []))


def _parts(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in ("parameter", "part"):
        listed = status.get(name)
        yield from (_object(one) for one in (listed if isinstance(listed, list) else []))


def _number(value: Any) -> int | None:
    """Read a number of R5's integer64, which JSON has as a string."""
    text = str(value) if isinstance(value, str | int) else ""
    return int(text) if NUMBER.fullmatch(text) else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
